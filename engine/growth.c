/* SPDX-License-Identifier: MIT */
#include "engine/growth.h"

/* Half as much again, and not for a few requests of a small process. Each collection that finds
 * nothing puts off the next by as much, so a process that really grows has a few of them. */
#define MEMORY_FACTOR 1.5
#define MEMORY_LEAST  (32ull << 20)

/* Half of the limit leaves as many again to the time until a collection; then steps of a sixteenth,
 * for servers whose connections are so many. */
#define FILES_PART 2
#define FILES_STEP 16

bool growth_files_are_due(const struct growth *then, const struct growth *now)
{
	uint64_t step = now->files_limit / FILES_STEP;

	return now->files_limit && now->files >= now->files_limit / FILES_PART &&
	       now->files >= then->files + step;
}

bool growth_is_due(const struct growth *then, const struct growth *now)
{
	double most = MEMORY_FACTOR * (double)then->resident + (double)MEMORY_LEAST;

	return (then->resident && (double)now->resident > most) || growth_files_are_due(then, now);
}

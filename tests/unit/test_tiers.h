/* SPDX-License-Identifier: MIT */
/* A clock, costs and a memory for the tests of engine/tiers. */
#ifndef GCPRELOAD_TESTS_UNIT_TEST_TIERS_H
#define GCPRELOAD_TESTS_UNIT_TEST_TIERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/tiers.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define MB     (1ull << 20)
#define LEASE  100 /* threshold1 where generation 1 is not to be looked at */

static const struct tiers_limits limits_of_mode = {
	.pause_ns = MS,
	.growth = .3,
	.own = { 700, 10, 10 },
	.marks = true,
};

/* 80 ns an object at readiness, 240 while the caches are cold: 3333 in four fifths of a pause. */
static inline uint64_t begin(struct tiers *t)
{
	tiers_begin(t, &limits_of_mode, 500000, 40 * MS);
	return 100 * SECOND;
}

/* An automatic collection of all that threshold0 allows, of which so many survive. */
static inline bool collect(struct tiers *t, uint64_t now, int generation, uint64_t survive,
			   double cost)
{
	uint64_t young = (uint64_t)t->threshold0;
	uint64_t all = young + (generation ? (uint64_t)t->middle : 0);

	return tiers_collected(t, now, generation, young, 0, all - survive,
			       (uint64_t)((double)all * cost));
}

/* What a mark needs besides memory that has grown. */
static inline void promote_some(struct tiers *t, uint64_t now)
{
	while (t->promoted < 30000)
		collect(t, now, 0, (uint64_t)t->threshold0, 200);
}

static inline bool is_due(struct tiers *t, uint64_t now, uint64_t resident)
{
	uint32_t why;

	return tiers_memory(t, now, resident, false, &why);
}

/* 100 MB, and a mark that ended at that moment and found so much, swept at once. */
static inline void mark(struct tiers *t, uint64_t now, uint64_t garbage, uint64_t cpu_ns)
{
	tiers_mark_begins(t);
	tiers_mark_ends(t, now, 500000, garbage, cpu_ns);
	tiers_swept(t, now, 100 * MB);
}

#endif

/* SPDX-License-Identifier: MIT */
#include "engine/pacer.h"

#include <stddef.h>

/* Until one was measured: what garbage costs, which is ten times what lives. */
#define COST_AT_FIRST 1000. /* ns an object */
/* What has waited is out of the processor's caches: 0.15 us an object soon after it was made were
 * 0.7 us in a batch ten times as large, 1.8 us right after the start (measured, Django). */
#define COLD	       4.
#define COST_LEARNED   .25 /* of a lower one; of a higher one all */
#define MEASURED_LEAST 500 /* fewer objects say more of the fixed cost */

/* So that an automatic collection takes no longer than young ones may. */
static int32_t threshold_of_young(const struct pacer *pacer)
{
	const struct pacer_limits *limits = &pacer->limits;
	double objects = (double)limits->young_ns / pacer->cost;

	/* What more of them would cost is a guess: twice as many as were measured. */
	if (pacer->batch && objects > 2. * pacer->batch)
		objects = 2. * pacer->batch;
	if (!limits->young_ns || (limits->asked && !pacer->batch) || objects > limits->top)
		return limits->top;
	if (objects >= limits->least)
		return (int32_t)objects;
	return limits->least < limits->top ? limits->least : limits->top;
}

void pacer_begin(struct pacer *pacer, const struct pacer_limits *limits, uint64_t frozen,
		 uint64_t ready_ns)
{
	double cost = frozen >= MEASURED_LEAST ? COLD * (double)ready_ns / (double)frozen : 0;

	/* The collection at readiness found next to no garbage, which is what costs. */
	*pacer = (struct pacer){ .limits = *limits,
				 .cost = cost > COST_AT_FIRST ? cost : COST_AT_FIRST };
	pacer->threshold0 = threshold_of_young(pacer);
}

/* The longest counts, and is forgotten slowly (measured, Django near saturation: between 0.2 and
 * 1.4 us an object; by their mean, 50 000 were let come together: 72 ms). */
void pacer_automatic(struct pacer *pacer, uint64_t duration)
{
	double now = (double)duration / (double)pacer->threshold0;

	if (pacer->threshold0 >= MEASURED_LEAST) {
		if (!pacer->batch || now > pacer->cost)
			pacer->cost = now;
		else
			pacer->cost += (now - pacer->cost) * COST_LEARNED;
	}
	pacer->batch = pacer->threshold0;
	pacer->threshold0 = threshold_of_young(pacer);
}

/* Long enough for the largest application; a program that is not a server gets its collector
 * back. */
#define STARTUP_NS     60000000000ull
#define STARTUP_MEMORY (512ull << 20)

void pacer_startup_begin(struct pacer_startup *startup, uint64_t now, const struct machine *machine)
{
	startup->began_ns = now;
	startup->resident = machine->resident;
}

const char *pacer_startup_over(const struct pacer_startup *startup, uint64_t now,
			       const struct machine *machine)
{
	if (now > startup->began_ns + STARTUP_NS)
		return "GCPRELOAD_STARTUP_GC=0 ended: not ready after 60 s";
	/* Half of a limit may be garbage by now, and there is no telling. */
	if (machine->limit && machine->used > machine->limit / 2)
		return "GCPRELOAD_STARTUP_GC=0 ended: half of the memory limit is used";
	if (machine->resident > startup->resident + STARTUP_MEMORY)
		return "GCPRELOAD_STARTUP_GC=0 ended: 512 MiB were allocated";
	return NULL;
}

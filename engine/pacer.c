/* SPDX-License-Identifier: MIT */
#include "engine/pacer.h"

#include <string.h>

#include "base/clock.h"
#include "base/shared.h"

#define SECOND 1000000000ull

/* A young collection is worth a chance from some thousand objects on: fewer, and its fixed cost
 * (two clocks, two callbacks, a probe) counts; many, and it takes longer than an idle moment. */
#define DUE_AT_FIRST 5000
#define DUE_LEAST    2000
#define DUE_MOST     100000

/* Until one was measured: what garbage costs, which is ten times what lives. */
#define COST_AT_FIRST 1000. /* ns an object */
/* What has waited is out of the processor's caches: 0.15 us an object at a chance were 0.7 us in a
 * batch ten times as large, 1.8 us right after the start (measured, Django). */
#define COLD	  4.
#define NET_LEAST 10000
/* Until an automatic collection was measured, no more is risked than chances need; room for some
 * requests between two of them. */
#define NET_UNMEASURED 12000

/* Yield, in collected objects of those looked at: below, garbage is not what grows; above, it is.
 */
#define POOR_YIELD .02
#define RICH_YIELD .25

/* The old generation is due when what survived is a quarter of what was there: the interpreter's
 * own rule (gcmodule.c, long_lived_pending < long_lived_total / 4), which the freeze has put off
 * by the size of the frozen heap. Not for a few objects, and so seldom that it takes a hundredth of
 * the time (measured: once in five seconds let what survived grow beyond the budget, and then it
 * was refused); seldom, too, where it finds nothing. */
#define OLD_LEAST     20000
#define FULL_SHARE    100
#define FULL_LEAST_NS SECOND
#define FULL_MOST_NS  (64 * SECOND)
#define GUARD_SHARE   20 /* the guard's may take a twentieth of the time: it bounds the memory */
#define RECOUNT_NS    (10 * SECOND)

/* Resident memory may grow so far before the guard makes a full collection: stock would have made
 * several by then. */
#define GROWTH_FACTOR 1.10
#define GROWTH_BYTES  (16ull << 20)
#define LIMIT_NEAR    .90
#define LIMIT_FAR     .80

#define MACHINE_EVERY_NS SECOND
#define PAUSE_FIRST_NS	 (2 * SECOND)
#define PAUSE_MOST_NS	 (32 * SECOND)

/* So many automatic collections without a chance between them: this process does not wait where
 * we are. Two may be one burst. */
#define UNREACHED_AT_MOST 3
#define UNREACHED_NS	  SECOND
/* Where the server waits and always finds its other threads at work, this is long: what has come
 * together since is one collection, in a request. */
#define BUSY_NS (SECOND / 4)

/* So many collections of generation 1 without a full one, and one is due for that alone: what
 * survived is little then, or it would have come before. */
#define COUNT2_MOST 100

/* A full collection of the guard's waits so long for a place to run in. */
#define UNGUARDED_NS (2 * SECOND)

#define FAR 1e18 /* ns */

static int32_t clamp_to_range(double value, int32_t least, int32_t most)
{
	return value < least ? least : value > most ? most : (int32_t)value;
}

/* How much of a cost that is higher than what is known counts. A moving mean: one measurement on a
 * busy machine is not a cost. The worst, of what must not take long: the longest counts, and is
 * forgotten slowly (measured, Django near saturation: between 0.2 and 1.4 us an object; by their
 * mean, 50 000 were let come together: 72 ms). */
#define MEAN  .25
#define WORST 1.

#define MEASURED_LEAST 500 /* fewer say more of the fixed cost */

static void measure_cost(double *cost, uint64_t duration, uint64_t objects, double higher)
{
	double now = objects ? (double)duration / (double)objects : 0;
	double part = now > *cost ? higher : MEAN;

	if (objects >= MEASURED_LEAST)
		*cost = *cost > 0 ? *cost * (1 - part) + now * part : now;
}

/* count0 is known at this moment; how fast it grows says when a collection will be due. */
static void count_seen(struct pacer *pacer, uint64_t now, int64_t count0)
{
	double rate;

	if (count0 > pacer->seen && now > pacer->seen_ns) {
		rate =
		    (double)(count0 - pacer->seen) / (double)gcpreload_elapsed(pacer->seen_ns, now);
		pacer->rate = pacer->rate > 0 ? pacer->rate * .75 + rate * .25 : rate;
	}
	pacer->seen = count0;
	pacer->seen_ns = now;
}

/* The interpreter's own full collections would come in requests, as soon as a few objects have
 * survived the first of ours: that one has made it forget how much was frozen. Where none of ours
 * can come, they may when mode freeze would have them, at a quarter of what was frozen (measured,
 * Django at 95 % load: 53 ms for what mode freeze did not look at). */
static void own_full_collections(struct pacer *pacer)
{
	uint64_t least = pacer->frozen / 4 > OLD_LEAST ? pacer->frozen / 4 : OLD_LEAST;
	bool ours = pacer->limits.idle && pacer->guard != GCPRELOAD_GUARD_LIMIT &&
		    !pacer->unguarded && !(pacer->fallen_back && pacer->old >= least);

	if (!ours)
		pacer->threshold2 = pacer->limits.own[2];
	else if (!pacer->leased || pacer->threshold2 < pacer->count2 + PACER_LEASE / 2 ||
		 pacer->threshold2 > pacer->count2 + PACER_LEASE)
		pacer->threshold2 =
		    clamp_to_range((double)pacer->count2 + PACER_LEASE, 1, INT32_MAX / 2);
	pacer->leased = ours;
}

static double young_cost(const struct pacer *pacer)
{
	if (pacer->young_cost > 0)
		return pacer->young_cost;
	return pacer->late_cost > 0 ? pacer->late_cost : COST_AT_FIRST;
}

static double late_cost(const struct pacer *pacer)
{
	if (pacer->late_cost > 0)
		return pacer->late_cost;
	if (pacer->young_cost > 0)
		return COLD * pacer->young_cost;
	/* The collection at readiness found next to no garbage, which is what costs. */
	return COLD * pacer->old_cost > COST_AT_FIRST ? COLD * pacer->old_cost : COST_AT_FIRST;
}

/* threshold0: so that an automatic collection, which runs in a request, takes no longer than young
 * ones may. Where chances come it is a safety net: no longer than one at a chance, either, and
 * never so low that it would come before the chances do. */
static int32_t net_threshold(const struct pacer *pacer)
{
	const struct pacer_limits *limits = &pacer->limits;
	bool chances = limits->idle && !pacer->fallen_back;
	int32_t most = chances ? limits->net : limits->top;
	int32_t least = chances ? NET_LEAST : limits->own[0];
	uint64_t most_ns = limits->young_ns;
	double objects;

	if (chances && (!most_ns || limits->budget_ns < most_ns))
		most_ns = limits->budget_ns;
	if (!most_ns || (chances && most <= limits->top) ||
	    (limits->asked && pacer->late_cost <= 0))
		return most;
	objects = (double)most_ns / late_cost(pacer);
	/* What more of them would cost is a guess: twice as many as were measured. */
	if (pacer->late_cost > 0 && objects > 2. * pacer->late_batch)
		objects = 2. * pacer->late_batch;
	if (pacer->late_cost <= 0 && chances) {
		least = NET_UNMEASURED;
		if (objects > 2. * pacer->young_due)
			objects = 2. * pacer->young_due;
	}
	return clamp_to_range(objects, least < most ? least : most, most);
}

/* A young collection was measured. */
static void stretch_net(struct pacer *pacer)
{
	if (pacer->guard != GCPRELOAD_GUARD_LIMIT && !pacer->unguarded)
		pacer->threshold0 = net_threshold(pacer);
	if (pacer->limits.idle && pacer->young_due > pacer->threshold0 / 2)
		pacer->young_due = clamp_to_range(pacer->threshold0 / 2., 700, pacer->young_due);
}

static bool old_is_due(const struct pacer *pacer, uint64_t now)
{
	uint64_t grown = pacer->old - pacer->old_at_full;

	if (gcpreload_elapsed(pacer->full_ns, now) < pacer->full_wait_ns)
		return false;
	return pacer->count2 >= COUNT2_MOST ||
	       (pacer->old > pacer->old_at_full && grown >= OLD_LEAST &&
		grown >= pacer->old_at_full / 4);
}

/* Where collections run in requests, the young ones of these come first. */
static int64_t young_due(const struct pacer *pacer)
{
	if (pacer->fallen_back && pacer->young_due > pacer->threshold0 / 2)
		return pacer->threshold0 / 2;
	return pacer->young_due;
}

/* When, from what is known now: the young by how fast they grew, the old after their wait. */
static void expect_next(struct pacer *pacer)
{
	bool old = old_is_due(pacer, UINT64_MAX);
	double left = (double)(young_due(pacer) - pacer->seen);
	uint64_t at = 0;

	if (!pacer->guard_full && pacer->rate > 0 && left > 0) {
		left /= pacer->rate;
		at = left < FAR ? pacer->seen_ns + (uint64_t)left : UINT64_MAX;
		if (old && pacer->full_ns + pacer->full_wait_ns < at)
			at = pacer->full_ns + pacer->full_wait_ns;
	}
	if (at < pacer->paused_until_ns)
		at = pacer->paused_until_ns;
	store_relaxed(&pacer->expected_ns, at);
}

void pacer_begin(struct pacer *pacer, const struct pacer_limits *limits, uint64_t now,
		 uint64_t frozen, uint64_t ready_ns)
{
	memset(pacer, 0, sizeof *pacer);
	pacer->limits = *limits;
	pacer->young_due = DUE_AT_FIRST;
	pacer->frozen = frozen;
	pacer->full_ns = now;
	pacer->full_wait_ns = FULL_LEAST_NS;
	store_relaxed(&pacer->chance_ns, now);
	pacer->seen_ns = now;
	measure_cost(&pacer->old_cost, ready_ns, frozen, MEAN);
	pacer->threshold0 = net_threshold(pacer);
	own_full_collections(pacer);
	expect_next(pacer);
}

bool pacer_expects(struct pacer *pacer, uint64_t now)
{
	if (now >= load_relaxed(&pacer->expected_ns))
		return true;
	store_relaxed(&pacer->chance_ns, now);
	return false;
}

/* Predicted; a full one looks at the young, too. */
static double predicted_cost(const struct pacer *pacer, int generation, int64_t count0)
{
	double young = young_cost(pacer) * (double)count0;

	return generation < 2 ? young : young + pacer->old_cost * (double)pacer->old;
}

enum pacer_due pacer_due(struct pacer *pacer, uint64_t now,
			 const int64_t counts[GCPRELOAD_GENERATIONS], int *generation)
{
	store_relaxed(&pacer->chance_ns, now);
	pacer->had_chance = true;
	pacer->unreached = 0;
	pacer->count2 = counts[2];
	own_full_collections(pacer);
	count_seen(pacer, now, counts[0]);
	expect_next(pacer);
	if (pacer->guard_full || old_is_due(pacer, now))
		*generation = 2;
	else if (counts[0] >= young_due(pacer))
		*generation = counts[1] > pacer->limits.own[1] ? 1 : 0;
	else
		return PACER_NOTHING;
	if (pacer->guard_full)
		return PACER_DUE;
	if (now < pacer->paused_until_ns)
		return PACER_PAUSED;
	if (predicted_cost(pacer, *generation, counts[0]) <= (double)pacer->limits.budget_ns)
		return PACER_DUE;
	/* Too much for a full one; the young alone may do. */
	if (*generation == 2 && counts[0] >= young_due(pacer) &&
	    predicted_cost(pacer, 1, counts[0]) <= (double)pacer->limits.budget_ns) {
		*generation = 1;
		return PACER_DUE;
	}
	return PACER_BUDGET;
}

bool pacer_recount_due(const struct pacer *pacer, uint64_t now)
{
	return gcpreload_elapsed(pacer->recount_ns, now) >= RECOUNT_NS;
}

void pacer_recounted(struct pacer *pacer, uint64_t now, uint64_t old)
{
	pacer->recount_ns = now;
	if (old < pacer->old)
		pacer->old = old;
	if (pacer->old_at_full > pacer->old)
		pacer->old_at_full = pacer->old;
	expect_next(pacer);
}

static void count_survivors(struct pacer *pacer, int generation, int64_t count0, uint64_t collected)
{
	uint64_t came = generation < 2 && count0 > 0 ? (uint64_t)count0 : 0;

	/* Generation 0 hands its survivors to 1, whose survivors are old: counted early, so what a
	 * collection of 1 finds may have been counted. */
	pacer->old = pacer->old + came > collected ? pacer->old + came - collected : 0;
	if (generation == 2 || pacer->old_at_full > pacer->old)
		pacer->old_at_full = pacer->old;
}

/* It waits after all. */
static void climb_back(struct pacer *pacer)
{
	store_relaxed(&pacer->fallen_back, false);
	pacer->unguarded = false;
	if (pacer->guard != GCPRELOAD_GUARD_LIMIT)
		pacer->threshold0 = net_threshold(pacer);
	own_full_collections(pacer);
}

static void full_collected(struct pacer *pacer, uint64_t now, uint64_t collected, uint64_t duration)
{
	uint64_t wait = pacer->full_wait_ns * 2;
	uint64_t looked_at = pacer->old + collected;

	measure_cost(&pacer->old_cost, duration, looked_at, MEAN);
	pacer->full_ns = now;
	if ((double)collected >= POOR_YIELD * (double)looked_at)
		wait = FULL_LEAST_NS;
	if (wait < duration * FULL_SHARE)
		wait = duration * FULL_SHARE;
	pacer->full_wait_ns = wait < FULL_MOST_NS ? wait : FULL_MOST_NS;
}

void pacer_collected(struct pacer *pacer, uint64_t now, int generation, int64_t count0,
		     uint64_t collected, uint64_t duration)
{
	double yield = count0 > 0 ? (double)collected / (double)count0 : 0;

	count_survivors(pacer, generation, count0, collected);
	count_seen(pacer, now, 0);
	pacer->count2 = generation == 2 ? 0 : pacer->count2 + generation;
	if (pacer->fallen_back || pacer->unguarded)
		climb_back(pacer);
	own_full_collections(pacer);
	if (generation == 2) {
		full_collected(pacer, now, collected, duration);
		expect_next(pacer);
		return;
	}
	measure_cost(&pacer->young_cost, duration, count0 > 0 ? (uint64_t)count0 : 0, MEAN);
	if (yield < POOR_YIELD)
		pacer->young_due = clamp_to_range(pacer->young_due * 2., DUE_LEAST, DUE_MOST);
	else if (yield > RICH_YIELD)
		pacer->young_due = clamp_to_range(pacer->young_due / 2., DUE_LEAST, DUE_MOST);
	/* One that takes long comes earlier, so that it stays within the budget. */
	if (pacer->young_cost * pacer->young_due > (double)pacer->limits.budget_ns / 2)
		pacer->young_due = clamp_to_range(
		    (double)pacer->limits.budget_ns / 2 / pacer->young_cost, 700, pacer->young_due);
	stretch_net(pacer);
	expect_next(pacer);
}

/* As mode freeze, begun with what is known of the cost. */
static void fall_back(struct pacer *pacer)
{
	store_relaxed(&pacer->fallen_back, true);
	pacer->threshold0 = net_threshold(pacer);
	own_full_collections(pacer);
}

/* Nobody can make the guard's collection: the main thread is blocked in C, and no wait is a place.
 */
static void leave_unguarded(struct pacer *pacer)
{
	pacer->unguarded = true;
	pacer->threshold0 = pacer->limits.own[0];
	own_full_collections(pacer);
}

bool pacer_out_of_reach(const struct pacer *pacer, uint64_t now)
{
	return pacer->limits.idle && !load_relaxed(&pacer->fallen_back) &&
	       gcpreload_elapsed(load_relaxed(&pacer->chance_ns), now) >= BUSY_NS;
}

bool pacer_unreached(struct pacer *pacer, uint64_t now)
{
	if (!pacer_out_of_reach(pacer, now) || pacer->guard == GCPRELOAD_GUARD_LIMIT)
		return false;
	fall_back(pacer);
	expect_next(pacer);
	return true;
}

bool pacer_automatic(struct pacer *pacer, uint64_t now, int generation, uint64_t collected,
		     uint64_t duration)
{
	int32_t before = pacer->threshold0, before2 = pacer->threshold2;

	count_survivors(pacer, generation, pacer->threshold0, collected);
	count_seen(pacer, now, pacer->threshold0);
	count_seen(pacer, now, 0);
	pacer->count2 = generation == 2 ? 0 : pacer->count2 + generation;
	if (pacer->guard_full && !pacer->unguarded &&
	    gcpreload_elapsed(pacer->guard_ns, now) >= UNGUARDED_NS)
		leave_unguarded(pacer);
	own_full_collections(pacer);
	if (generation == 2) {
		pacer->full_ns = now;
		expect_next(pacer);
		return pacer->threshold2 != before2;
	}
	if (++pacer->unreached >= UNREACHED_AT_MOST && pacer->limits.idle && !pacer->fallen_back &&
	    !pacer->unguarded &&
	    gcpreload_elapsed(load_relaxed(&pacer->chance_ns), now) >= UNREACHED_NS)
		fall_back(pacer);
	measure_cost(&pacer->late_cost, duration, (uint64_t)before, WORST);
	pacer->late_batch = before;
	stretch_net(pacer);
	expect_next(pacer);
	return pacer->threshold0 != before || pacer->threshold2 != before2;
}

bool pacer_machine_due(const struct pacer *pacer, uint64_t now)
{
	return gcpreload_elapsed(pacer->machine_ns, now) >= MACHINE_EVERY_NS;
}

static void look_at_quota(struct pacer *pacer, uint64_t now, uint64_t throttled)
{
	if (pacer->throttled_ns && throttled > pacer->throttled_ns) {
		pacer->pause_ns = pacer->pause_ns ? pacer->pause_ns * 2 : PAUSE_FIRST_NS;
		if (pacer->pause_ns > PAUSE_MOST_NS)
			pacer->pause_ns = PAUSE_MOST_NS;
		pacer->paused_until_ns = now + pacer->pause_ns;
	} else if (now > pacer->paused_until_ns + PAUSE_MOST_NS) {
		pacer->pause_ns = 0;
	}
	pacer->throttled_ns = throttled;
}

static bool near_the_limit(const struct pacer *pacer, const struct machine *machine)
{
	double part = pacer->guard == GCPRELOAD_GUARD_LIMIT ? LIMIT_FAR : LIMIT_NEAR;

	return machine->limit && (double)machine->used > part * (double)machine->limit;
}

void pacer_grown(struct pacer *pacer, uint64_t now)
{
	if (!pacer->guard_full)
		pacer->guard_ns = now;
	pacer->guard_full = true;
	if (pacer->guard == GCPRELOAD_GUARD_NONE)
		pacer->guard = GCPRELOAD_GUARD_GROWTH;
	expect_next(pacer);
}

bool pacer_machine(struct pacer *pacer, uint64_t now, const struct machine *machine)
{
	int32_t before = pacer->threshold0;

	pacer->machine_ns = now;
	look_at_quota(pacer, now, machine->throttled_ns);
	if (!pacer->resident)
		pacer->resident = machine->resident;
	expect_next(pacer);
	if (!pacer->limits.idle)
		return false;
	if (near_the_limit(pacer, machine)) {
		/* As the interpreter would have it, until there is room again. */
		if (pacer->guard != GCPRELOAD_GUARD_LIMIT)
			pacer_grown(pacer, now);
		pacer->guard = GCPRELOAD_GUARD_LIMIT;
		pacer->threshold0 = pacer->limits.own[0];
		own_full_collections(pacer);
	} else if (pacer->guard == GCPRELOAD_GUARD_LIMIT) {
		pacer->guard = GCPRELOAD_GUARD_NONE;
		pacer->threshold0 = net_threshold(pacer);
		own_full_collections(pacer);
	} else if ((double)machine->resident >
		       GROWTH_FACTOR * (double)pacer->resident + (double)GROWTH_BYTES &&
		   pacer->old > pacer->old_at_full &&
		   gcpreload_elapsed(pacer->full_ns, now) >= FULL_LEAST_NS &&
		   gcpreload_elapsed(pacer->full_ns, now) >= pacer->guard_took_ns * GUARD_SHARE) {
		pacer_grown(pacer, now);
	}
	expect_next(pacer);
	return pacer->guard_full || pacer->threshold0 != before;
}

void pacer_guarded(struct pacer *pacer, uint64_t now, uint64_t resident, uint64_t collected,
		   uint64_t duration)
{
	pacer->guard_full = false;
	pacer->guard_took_ns = duration;
	pacer_collected(pacer, now, 2, 0, collected, duration);
	if (pacer->guard != GCPRELOAD_GUARD_GROWTH)
		return;
	pacer->guard = GCPRELOAD_GUARD_NONE;
	/* What is left is in use: growth is counted from there. */
	if (resident > pacer->resident)
		pacer->resident = resident;
}

void pacer_all_frozen(struct pacer *pacer, uint64_t now)
{
	pacer->frozen += pacer->old;
	pacer->old = pacer->old_at_full = 0;
	pacer->count2 = 0;
	pacer->full_ns = now;
	own_full_collections(pacer);
	expect_next(pacer);
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

/* SPDX-License-Identifier: MIT */
#include "inject/policy.h"

#include <string.h>

#include "ring/clock.h"

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

static int32_t within(double value, int32_t least, int32_t most)
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

static void measure(double *cost, uint64_t duration, uint64_t objects, double higher)
{
	double now = objects ? (double)duration / (double)objects : 0;
	double part = now > *cost ? higher : MEAN;

	if (objects >= MEASURED_LEAST)
		*cost = *cost > 0 ? *cost * (1 - part) + now * part : now;
}

/* count0 is known at this moment; how fast it grows says when a collection will be due. */
static void seen(struct policy *policy, uint64_t now, int64_t count0)
{
	double rate;

	if (count0 > policy->seen && now > policy->seen_ns) {
		rate = (double)(count0 - policy->seen) /
		       (double)gcpreload_elapsed(policy->seen_ns, now);
		policy->rate = policy->rate > 0 ? policy->rate * .75 + rate * .25 : rate;
	}
	policy->seen = count0;
	policy->seen_ns = now;
}

/* The interpreter's own full collections would come in requests, as soon as a few objects have
 * survived the first of ours: that one has made it forget how much was frozen. Where none of ours
 * can come, they may when mode freeze would have them, at a quarter of what was frozen (measured,
 * Django at 95 % load: 53 ms for what mode freeze did not look at). */
static void own_full_collections(struct policy *policy)
{
	uint64_t least = policy->frozen / 4 > OLD_LEAST ? policy->frozen / 4 : OLD_LEAST;
	bool ours = policy->limits.idle && policy->guard != GCPRELOAD_GUARD_LIMIT &&
		    !policy->unguarded && !(policy->fallen_back && policy->old >= least);

	if (!ours)
		policy->threshold2 = policy->limits.own[2];
	else if (!policy->leased || policy->threshold2 < policy->count2 + POLICY_LEASE / 2 ||
		 policy->threshold2 > policy->count2 + POLICY_LEASE)
		policy->threshold2 =
		    within((double)policy->count2 + POLICY_LEASE, 1, INT32_MAX / 2);
	policy->leased = ours;
}

static double young_cost(const struct policy *policy)
{
	if (policy->young_cost > 0)
		return policy->young_cost;
	return policy->late_cost > 0 ? policy->late_cost : COST_AT_FIRST;
}

static double late_cost(const struct policy *policy)
{
	if (policy->late_cost > 0)
		return policy->late_cost;
	if (policy->young_cost > 0)
		return COLD * policy->young_cost;
	/* The collection at readiness found next to no garbage, which is what costs. */
	return COLD * policy->old_cost > COST_AT_FIRST ? COLD * policy->old_cost : COST_AT_FIRST;
}

/* threshold0: so that an automatic collection, which runs in a request, takes no longer than young
 * ones may. Where chances come it is a safety net: no longer than one at a chance, either, and
 * never so low that it would come before the chances do. */
static int32_t net(const struct policy *policy)
{
	const struct policy_limits *limits = &policy->limits;
	bool chances = limits->idle && !policy->fallen_back;
	int32_t most = chances ? limits->net : limits->top;
	int32_t least = chances ? NET_LEAST : limits->own[0];
	uint64_t most_ns = limits->young_ns;
	double objects;

	if (chances && (!most_ns || limits->budget_ns < most_ns))
		most_ns = limits->budget_ns;
	if (!most_ns || (chances && most <= limits->top) ||
	    (limits->asked && policy->late_cost <= 0))
		return most;
	objects = (double)most_ns / late_cost(policy);
	/* What more of them would cost is a guess: twice as many as were measured. */
	if (policy->late_cost > 0 && objects > 2. * policy->late_batch)
		objects = 2. * policy->late_batch;
	if (policy->late_cost <= 0 && chances) {
		least = NET_UNMEASURED;
		if (objects > 2. * policy->young_due)
			objects = 2. * policy->young_due;
	}
	return within(objects, least < most ? least : most, most);
}

/* A young collection was measured. */
static void stretch_net(struct policy *policy)
{
	if (policy->guard != GCPRELOAD_GUARD_LIMIT && !policy->unguarded)
		policy->threshold0 = net(policy);
	if (policy->limits.idle && policy->young_due > policy->threshold0 / 2)
		policy->young_due = within(policy->threshold0 / 2., 700, policy->young_due);
}

void policy_begin(struct policy *policy, const struct policy_limits *limits, uint64_t now,
		  uint64_t frozen, uint64_t ready_ns)
{
	memset(policy, 0, sizeof *policy);
	policy->limits = *limits;
	policy->young_due = DUE_AT_FIRST;
	policy->frozen = frozen;
	policy->full_ns = now;
	policy->full_wait_ns = FULL_LEAST_NS;
	policy->chance_ns = now;
	policy->seen_ns = now;
	measure(&policy->old_cost, ready_ns, frozen, MEAN);
	policy->threshold0 = net(policy);
	own_full_collections(policy);
}

static bool old_is_due(const struct policy *policy, uint64_t now)
{
	uint64_t grown = policy->old - policy->old_at_full;

	if (gcpreload_elapsed(policy->full_ns, now) < policy->full_wait_ns)
		return false;
	return policy->count2 >= COUNT2_MOST ||
	       (policy->old > policy->old_at_full && grown >= OLD_LEAST &&
		grown >= policy->old_at_full / 4);
}

/* Where collections run in requests, the young ones of these come first. */
static int64_t young_due(const struct policy *policy)
{
	if (policy->fallen_back && policy->young_due > policy->threshold0 / 2)
		return policy->threshold0 / 2;
	return policy->young_due;
}

bool policy_expects(struct policy *policy, uint64_t now)
{
	double count0 =
	    (double)policy->seen + policy->rate * (double)gcpreload_elapsed(policy->seen_ns, now);

	if (now >= policy->paused_until_ns &&
	    (policy->guard_full || old_is_due(policy, now) || policy->rate <= 0 ||
	     count0 >= (double)young_due(policy)))
		return true;
	policy->chance_ns = now;
	return false;
}

/* Predicted; a full one looks at the young, too. */
static double cost(const struct policy *policy, int generation, int64_t count0)
{
	double young = young_cost(policy) * (double)count0;

	return generation < 2 ? young : young + policy->old_cost * (double)policy->old;
}

enum policy_due policy_due(struct policy *policy, uint64_t now,
			   const int64_t counts[GCPRELOAD_GENERATIONS], int *generation)
{
	policy->chance_ns = now;
	policy->had_chance = true;
	policy->unreached = 0;
	policy->count2 = counts[2];
	own_full_collections(policy);
	seen(policy, now, counts[0]);
	if (policy->guard_full || old_is_due(policy, now))
		*generation = 2;
	else if (counts[0] >= young_due(policy))
		*generation = counts[1] > policy->limits.own[1] ? 1 : 0;
	else
		return POLICY_NOTHING;
	if (policy->guard_full)
		return POLICY_COLLECT;
	if (now < policy->paused_until_ns)
		return POLICY_PAUSED;
	if (cost(policy, *generation, counts[0]) <= (double)policy->limits.budget_ns)
		return POLICY_COLLECT;
	/* Too much for a full one; the young alone may do. */
	if (*generation == 2 && counts[0] >= young_due(policy) &&
	    cost(policy, 1, counts[0]) <= (double)policy->limits.budget_ns) {
		*generation = 1;
		return POLICY_COLLECT;
	}
	return POLICY_BUDGET;
}

bool policy_recount_due(const struct policy *policy, uint64_t now)
{
	return gcpreload_elapsed(policy->recount_ns, now) >= RECOUNT_NS;
}

void policy_recounted(struct policy *policy, uint64_t now, uint64_t old)
{
	policy->recount_ns = now;
	if (old < policy->old)
		policy->old = old;
	if (policy->old_at_full > policy->old)
		policy->old_at_full = policy->old;
}

static void survived(struct policy *policy, int generation, int64_t count0, uint64_t collected)
{
	uint64_t came = generation < 2 && count0 > 0 ? (uint64_t)count0 : 0;

	/* Generation 0 hands its survivors to 1, whose survivors are old: counted early, so what a
	 * collection of 1 finds may have been counted. */
	policy->old = policy->old + came > collected ? policy->old + came - collected : 0;
	if (generation == 2 || policy->old_at_full > policy->old)
		policy->old_at_full = policy->old;
}

/* It waits after all. */
static void climb_back(struct policy *policy)
{
	policy->fallen_back = policy->unguarded = false;
	if (policy->guard != GCPRELOAD_GUARD_LIMIT)
		policy->threshold0 = net(policy);
	own_full_collections(policy);
}

static void full_collected(struct policy *policy, uint64_t now, uint64_t collected,
			   uint64_t duration)
{
	uint64_t wait = policy->full_wait_ns * 2;
	uint64_t looked_at = policy->old + collected;

	measure(&policy->old_cost, duration, looked_at, MEAN);
	policy->full_ns = now;
	if ((double)collected >= POOR_YIELD * (double)looked_at)
		wait = FULL_LEAST_NS;
	if (wait < duration * FULL_SHARE)
		wait = duration * FULL_SHARE;
	policy->full_wait_ns = wait < FULL_MOST_NS ? wait : FULL_MOST_NS;
}

void policy_collected(struct policy *policy, uint64_t now, int generation, int64_t count0,
		      uint64_t collected, uint64_t duration)
{
	double yield = count0 > 0 ? (double)collected / (double)count0 : 0;

	survived(policy, generation, count0, collected);
	seen(policy, now, 0);
	policy->count2 = generation == 2 ? 0 : policy->count2 + generation;
	if (policy->fallen_back || policy->unguarded)
		climb_back(policy);
	own_full_collections(policy);
	if (generation == 2) {
		full_collected(policy, now, collected, duration);
		return;
	}
	measure(&policy->young_cost, duration, count0 > 0 ? (uint64_t)count0 : 0, MEAN);
	if (yield < POOR_YIELD)
		policy->young_due = within(policy->young_due * 2., DUE_LEAST, DUE_MOST);
	else if (yield > RICH_YIELD)
		policy->young_due = within(policy->young_due / 2., DUE_LEAST, DUE_MOST);
	/* One that takes long comes earlier, so that it stays within the budget. */
	if (policy->young_cost * policy->young_due > (double)policy->limits.budget_ns / 2)
		policy->young_due =
		    within((double)policy->limits.budget_ns / 2 / policy->young_cost, 700,
			   policy->young_due);
	stretch_net(policy);
}

/* As mode freeze, begun with what is known of the cost. */
static void fall_back(struct policy *policy)
{
	policy->fallen_back = true;
	policy->threshold0 = net(policy);
	own_full_collections(policy);
}

/* Nobody can make the guard's collection: the main thread is blocked in C, and no wait is a place.
 */
static void leave_unguarded(struct policy *policy)
{
	policy->unguarded = true;
	policy->threshold0 = policy->limits.own[0];
	own_full_collections(policy);
}

bool policy_out_of_reach(const struct policy *policy, uint64_t now)
{
	return policy->limits.idle && !policy->fallen_back &&
	       gcpreload_elapsed(policy->chance_ns, now) >= BUSY_NS;
}

bool policy_unreached(struct policy *policy, uint64_t now)
{
	if (!policy_out_of_reach(policy, now) || policy->guard == GCPRELOAD_GUARD_LIMIT)
		return false;
	fall_back(policy);
	return true;
}

bool policy_automatic(struct policy *policy, uint64_t now, int generation, uint64_t collected,
		      uint64_t duration)
{
	int32_t before = policy->threshold0, before2 = policy->threshold2;

	survived(policy, generation, policy->threshold0, collected);
	seen(policy, now, policy->threshold0);
	seen(policy, now, 0);
	policy->count2 = generation == 2 ? 0 : policy->count2 + generation;
	if (policy->guard_full && !policy->unguarded &&
	    gcpreload_elapsed(policy->guard_ns, now) >= UNGUARDED_NS)
		leave_unguarded(policy);
	own_full_collections(policy);
	if (generation == 2) {
		policy->full_ns = now;
		return policy->threshold2 != before2;
	}
	if (++policy->unreached >= UNREACHED_AT_MOST && policy->limits.idle &&
	    !policy->fallen_back && !policy->unguarded &&
	    gcpreload_elapsed(policy->chance_ns, now) >= UNREACHED_NS)
		fall_back(policy);
	measure(&policy->late_cost, duration, (uint64_t)before, WORST);
	policy->late_batch = before;
	stretch_net(policy);
	return policy->threshold0 != before || policy->threshold2 != before2;
}

bool policy_machine_due(const struct policy *policy, uint64_t now)
{
	return gcpreload_elapsed(policy->machine_ns, now) >= MACHINE_EVERY_NS;
}

static void look_at_quota(struct policy *policy, uint64_t now, uint64_t throttled)
{
	if (policy->throttled_ns && throttled > policy->throttled_ns) {
		policy->pause_ns = policy->pause_ns ? policy->pause_ns * 2 : PAUSE_FIRST_NS;
		if (policy->pause_ns > PAUSE_MOST_NS)
			policy->pause_ns = PAUSE_MOST_NS;
		policy->paused_until_ns = now + policy->pause_ns;
	} else if (now > policy->paused_until_ns + PAUSE_MOST_NS) {
		policy->pause_ns = 0;
	}
	policy->throttled_ns = throttled;
}

static bool near_the_limit(const struct policy *policy, const struct policy_machine *machine)
{
	double part = policy->guard == GCPRELOAD_GUARD_LIMIT ? LIMIT_FAR : LIMIT_NEAR;

	return machine->limit && (double)machine->used > part * (double)machine->limit;
}

void policy_grown(struct policy *policy, uint64_t now)
{
	if (!policy->guard_full)
		policy->guard_ns = now;
	policy->guard_full = true;
	if (policy->guard == GCPRELOAD_GUARD_NONE)
		policy->guard = GCPRELOAD_GUARD_GROWTH;
}

bool policy_machine(struct policy *policy, uint64_t now, const struct policy_machine *machine)
{
	int32_t before = policy->threshold0;

	policy->machine_ns = now;
	look_at_quota(policy, now, machine->throttled_ns);
	if (!policy->resident)
		policy->resident = machine->resident;
	if (!policy->limits.idle)
		return false;
	if (near_the_limit(policy, machine)) {
		/* As the interpreter would have it, until there is room again. */
		if (policy->guard != GCPRELOAD_GUARD_LIMIT)
			policy_grown(policy, now);
		policy->guard = GCPRELOAD_GUARD_LIMIT;
		policy->threshold0 = policy->limits.own[0];
		own_full_collections(policy);
	} else if (policy->guard == GCPRELOAD_GUARD_LIMIT) {
		policy->guard = GCPRELOAD_GUARD_NONE;
		policy->threshold0 = net(policy);
		own_full_collections(policy);
	} else if ((double)machine->resident >
		       GROWTH_FACTOR * (double)policy->resident + (double)GROWTH_BYTES &&
		   policy->old > policy->old_at_full &&
		   gcpreload_elapsed(policy->full_ns, now) >= FULL_LEAST_NS &&
		   gcpreload_elapsed(policy->full_ns, now) >= policy->guard_took_ns * GUARD_SHARE) {
		policy_grown(policy, now);
	}
	return policy->guard_full || policy->threshold0 != before;
}

void policy_guarded(struct policy *policy, uint64_t now, uint64_t resident, uint64_t collected,
		    uint64_t duration)
{
	policy->guard_full = false;
	policy->guard_took_ns = duration;
	policy_collected(policy, now, 2, 0, collected, duration);
	if (policy->guard != GCPRELOAD_GUARD_GROWTH)
		return;
	policy->guard = GCPRELOAD_GUARD_NONE;
	/* What is left is in use: growth is counted from there. */
	if (resident > policy->resident)
		policy->resident = resident;
}

void policy_all_frozen(struct policy *policy, uint64_t now)
{
	policy->frozen += policy->old;
	policy->old = policy->old_at_full = 0;
	policy->count2 = 0;
	policy->full_ns = now;
	own_full_collections(policy);
}

/* Long enough for the largest application; a program that is not a server gets its collector
 * back. */
#define STARTUP_NS     60000000000ull
#define STARTUP_MEMORY (512ull << 20)

void policy_startup_begin(struct policy_startup *startup, uint64_t now,
			  const struct policy_machine *machine)
{
	startup->began_ns = now;
	startup->resident = machine->resident;
}

const char *policy_startup_over(const struct policy_startup *startup, uint64_t now,
				const struct policy_machine *machine)
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

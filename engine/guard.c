/* SPDX-License-Identifier: MIT */
#include "engine/guard.h"

#include "base/clock.h"
#include "engine/collector.h"
#include "engine/growth.h"
#include "engine/process.h"
#include "engine/tuner.h"

/* A full collection waits so long for a place to run in. */
#define UNGUARDED_NS 2000000000ull

struct guard guard_state;

void guard_begin(void)
{
	guard_state = (struct guard){ .why = GCPRELOAD_GUARD_NONE };
	guard_begin_growth(NULL);
}

void guard_begin_growth(const struct growth *now)
{
	struct growth looked;

	if (!now)
		machine_growth(&looked);
	now = now ? now : &looked;
	store_relaxed(&guard_state.base.resident, now->resident);
	store_relaxed(&guard_state.base.files, now->files);
	store_relaxed(&guard_state.base.files_limit, now->files_limit);
}

struct growth guard_base(void)
{
	return (struct growth){ .resident = load_relaxed(&guard_state.base.resident),
				.files = load_relaxed(&guard_state.base.files),
				.files_limit = load_relaxed(&guard_state.base.files_limit) };
}

static bool is_grown_now(void)
{
	struct growth base = guard_base(), now;

	machine_growth(&now);
	return growth_is_due(&base, &now);
}

bool guard_has_grown(uint64_t now_ns)
{
	if (gcpreload_elapsed(load_relaxed(&guard_state.looked_ns), now_ns) < GUARD_EVERY_NS)
		return false;
	store_relaxed(&guard_state.looked_ns, now_ns);
	return is_grown_now();
}

void guard_ask(enum gcpreload_guard why, uint64_t now_ns)
{
	if (!guard_state.full)
		guard_state.since_ns = now_ns;
	guard_state.full = true;
	if (guard_state.why == GCPRELOAD_GUARD_NONE)
		guard_state.why = why;
}

void guard_near_limit(bool near, uint64_t now_ns)
{
	if (near && guard_state.why != GCPRELOAD_GUARD_LIMIT) {
		guard_ask(GCPRELOAD_GUARD_LIMIT, now_ns);
		guard_state.why = GCPRELOAD_GUARD_LIMIT;
	} else if (!near && guard_state.why == GCPRELOAD_GUARD_LIMIT) {
		guard_state.why = GCPRELOAD_GUARD_NONE;
	}
}

void guard_automatic(uint64_t now_ns)
{
	if (guard_state.full && gcpreload_elapsed(guard_state.since_ns, now_ns) >= UNGUARDED_NS)
		guard_state.unguarded = true;
}

int64_t guard_collect(PyObject *gc, bool all_is_frozen)
{
	int64_t left = all_is_frozen ? tuner_collect_all(gc, GCPRELOAD_CAUSE_GUARD, true) : -1;

	process.status.idle.guard_trips++;
	if (left < 0)
		collector_collect(gc, GCPRELOAD_GENERATIONS - 1, GCPRELOAD_CAUSE_GUARD);
	guard_state.full = guard_state.unguarded = false;
	if (guard_state.why == GCPRELOAD_GUARD_GROWTH)
		guard_state.why = GCPRELOAD_GUARD_NONE;
	if (all_is_frozen || !is_grown_now())
		return left;
	/* What holds it may be frozen. */
	left = tuner_collect_all(gc, GCPRELOAD_CAUSE_GUARD, false);
	guard_begin_growth(NULL);
	return left;
}

/* SPDX-License-Identifier: MIT */
#include "engine/pacing.h"

#include <string.h>

#include "base/clock.h"
#include "base/shared.h"
#include "engine/concurrent.h"
#include "engine/engine.h"
#include "engine/growth.h"
#include "engine/process.h"
#include "engine/tuner.h"
#include "inject/module.h"

#define RECIPES_OWN 50000  /* GCPRELOAD_THRESHOLDS as it is by default */
#define NET	    500000 /* the safety net at the highest, where objects cost little */

struct pacing pacing;

void pacing_begin(PyObject *gc, uint64_t ready_ns)
{
	struct pacer_limits limits = {
		.young_ns = settings->young_ns,
		.budget_ns = settings->budget_ns,
		.idle = process.mode == GCPRELOAD_MODE_IDLE && process.status.frozen_objects >= 0,
	};
	int64_t frozen = process.status.frozen_objects;

	memcpy(limits.own, process.status.thresholds_before, sizeof limits.own);
	limits.top = process.status.thresholds[0];
	limits.asked = settings->thresholds[0] != RECIPES_OWN;
	limits.net = limits.idle && !limits.asked ? NET : limits.top;
	pacer_begin(&pacing.pacer, &limits, gcpreload_now_ns(), frozen > 0 ? (uint64_t)frozen : 0,
		    ready_ns);
	tuner_adapt_thresholds(gc, pacing.pacer.threshold0, pacing.pacer.threshold2);
	pacing.in_force = limits.top != GCPRELOAD_KEEP && settings->thresholds[0] != GCPRELOAD_KEEP;
	pacing_begin_growth();
	process_is_tuned(limits.idle);
}

void pacing_begin_growth(void)
{
	struct growth now;

	machine_growth(&now);
	store_relaxed(&pacing.base.resident, now.resident);
	store_relaxed(&pacing.base.files, now.files);
	store_relaxed(&pacing.base.files_limit, now.files_limit);
}

bool pacing_is_due(const struct growth *now)
{
	struct growth base = { .resident = load_relaxed(&pacing.base.resident),
			       .files = load_relaxed(&pacing.base.files),
			       .files_limit = load_relaxed(&pacing.base.files_limit) };

	return growth_is_due(&base, now);
}

bool pacing_has_grown(uint64_t now_ns)
{
	struct growth growth;

	if (gcpreload_elapsed(load_relaxed(&pacing.grown_ns), now_ns) < PACING_GROWTH_EVERY_NS)
		return false;
	store_relaxed(&pacing.grown_ns, now_ns);
	machine_growth(&growth);
	return pacing_is_due(&growth);
}

void pacing_look_at_machine(uint64_t now_ns)
{
	struct machine machine;

	if (pacer_machine_due(&pacing.pacer, now_ns)) {
		machine_look(&machine);
		pacer_machine(&pacing.pacer, now_ns, &machine);
	}
}

static bool thresholds_differ(void)
{
	const int32_t *set = process.status.thresholds;

	return pacing.pacer.threshold0 != set[0] ||
	       (settings->thresholds[2] == GCPRELOAD_KEEP && pacing.pacer.threshold2 != set[2]);
}

void pacing_set_thresholds(PyObject *gc)
{
	if (pacing.in_force && thresholds_differ())
		tuner_adapt_thresholds(gc, pacing.pacer.threshold0, pacing.pacer.threshold2);
}

/* What is worth a word in the status, or what of the program is not as it would like. */
static const char *pacing_word(void)
{
	const struct pacer *pacer = &pacing.pacer;

	if (pacer->guard == GCPRELOAD_GUARD_LIMIT)
		return "near the memory limit: using the interpreter's own thresholds";
	if (pacer->unguarded)
		return "memory grows, and no moment to collect: using the interpreter's own "
		       "thresholds";
	if (pacer->fallen_back && pacer->had_chance)
		return "no idle moment: collecting as in mode freeze";
	if (pacer->fallen_back)
		return "its waits are not known: collecting as in mode freeze";
	return process.fallback ? process.fallback : tuner_limits();
}

void pacing_settle(PyObject *gc)
{
	struct gcpreload_idle *told = &process.status.idle;

	if (process.status.state != GCPRELOAD_STATE_READY)
		return;
	pacing_set_thresholds(gc);
	if (pacing.pacer.guard != GCPRELOAD_GUARD_NONE && told->guard == GCPRELOAD_GUARD_NONE)
		told->guard_trips++;
	told->guard = pacing.pacer.guard;
	process_text(reason, pacing_word());
	process_update();
}

/* In a callback, with the GIL: settled here, since a main thread that blocks runs no pending call.
 */
static void settle_in_callback(void)
{
	PyObject *gc = py_in_main_interpreter() ? module_gc() : NULL;

	if (gc && tuner_still_ours(gc))
		pacing_settle(gc);
	py_drop(gc);
}

void pacing_observed(const struct gcpreload_event *event, uint64_t now_ns)
{
	bool changed = false;

	if (!process.tuned || process.status.state != GCPRELOAD_STATE_READY || concurrent_is_on())
		return;
	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC)
		changed = pacer_automatic(&pacing.pacer, now_ns, event->generation,
					  event->collected, event->duration_ns);
	if (event->generation == GCPRELOAD_GENERATIONS - 1 &&
	    event->cause == GCPRELOAD_CAUSE_EXPLICIT) {
		pacer_all_frozen(&pacing.pacer, now_ns);
		pacing_begin_growth();
		changed = true;
	}
	if (pacing.pacer.limits.idle && pacer_machine_due(&pacing.pacer, now_ns)) {
		pacing_look_at_machine(now_ns);
		changed = true;
	}
	if (pacing_has_grown(now_ns))
		pacer_grown(&pacing.pacer, now_ns);
	if (pacing.pacer.guard_full && !load_relaxed(&process.guard_asked))
		store_relaxed(&process.guard_asked, gcpreload_engine_soon());
	if (changed)
		settle_in_callback();
}

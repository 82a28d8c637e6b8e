/* SPDX-License-Identifier: MIT */
#include "engine/chances.h"

#include <errno.h>

#include "base/clock.h"
#include "engine/collector.h"
#include "engine/concurrent.h"
#include "engine/engine.h"
#include "engine/entrance.h"
#include "engine/guard.h"
#include "engine/kin.h"
#include "engine/pacing.h"
#include "engine/process.h"
#include "engine/referrers.h"
#include "engine/tuner.h"
#include "inject/observer.h"
#include "inject/waiting.h"

/* Where collections run in requests: a settling wait is some wake-ups, and may be in vain. */
#define BUSY_EVERY_NS 25000000ull
/* How often the waits of a server are worth a look. */
#define CHANCES_EVERY_NS  2000000ull
#define COMMANDS_EVERY_NS 1000000000ull

static struct {
	bool deferred;	    /* given to the event loop, which has not come to it */
	int generation;	    /* that is due */
	uint64_t took_ns;   /* by the last collection at a chance; shared */
	uint64_t busy_ns;   /* when BUSY was last said */
	uint64_t others_ns; /* CPU of the other threads at the last look; any thread that serves */
} chances;

bool gcpreload_engine_wants_chances(void)
{
	return load_relaxed(&process.wants_chances);
}

uint64_t gcpreload_engine_looks_every(void)
{
	return load_relaxed(&process.wants_chances) ? CHANCES_EVERY_NS
	       : load_relaxed(&process.tuned)	    ? PACING_GROWTH_EVERY_NS
						    : COMMANDS_EVERY_NS;
}

void chances_begin(void)
{
	chances.deferred = false;
	kin_begin();
	store_relaxed(&chances.others_ns, machine_cpu_of_others());
}

static bool chances_due(PyObject *gc)
{
	struct gcpreload_idle *told = &process.status.idle;
	struct pacer *pacer = &pacing.pacer;
	int64_t counts[GCPRELOAD_GENERATIONS];
	uint64_t now = gcpreload_now_ns();
	enum pacer_due what;
	uint32_t before = told->due;

	if (chances.deferred || !tuner_still_ours(gc) || !collector_counts(gc, counts))
		return false;
	if (concurrent_is_on())
		return concurrent_is_due(gc, now);
	pacing_look_at_machine(now);
	if (pacing_has_grown(now))
		pacer_grown(pacer, now);
	what = pacer_due(pacer, now, counts, &chances.generation);
	if (what == PACER_BUDGET && chances.generation == 2 && pacer_recount_due(pacer, now)) {
		pacer_recounted(pacer, now, (uint64_t)referrers_count_unfrozen(gc, 2));
		what = pacer_due(pacer, now, counts, &chances.generation);
	}
	pacing_set_thresholds(gc);
	told->due = what == PACER_NOTHING ? 0 : (uint32_t)chances.generation + 1;
	told->refused_budget += what == PACER_BUDGET;
	told->refused_throttled += what == PACER_PAUSED;
	if (what != PACER_DUE && told->due != before)
		process_update();
	return what == PACER_DUE;
}

/* A server's thread hands requests to others and waits for new ones: when those are done, nobody
 * wakes it. Without the GIL, so other threads of a server may count here at once: what is lost of
 * a counter is a refusal, and of a moment a look. */
static enum gcpreload_chance chances_busy(bool again)
{
	struct pacer *pacer = &pacing.pacer;
	uint64_t now = gcpreload_now_ns();

	/* Its collections in requests are short. */
	if (concurrent_is_on())
		return GCPRELOAD_CHANCE_NONE;
	if (again)
		return GCPRELOAD_CHANCE_BUSY;
	if (!pacer_expects(pacer, now))
		return GCPRELOAD_CHANCE_NONE;
	add_relaxed(&process.at_waits.refused_busy, 1);
	if (pacer_out_of_reach(pacer, now) && !load_relaxed(&process.guard_asked))
		store_relaxed(&process.guard_asked, gcpreload_engine_soon());
	if (pacer->fallen_back &&
	    gcpreload_elapsed(load_relaxed(&chances.busy_ns), now) < BUSY_EVERY_NS)
		return GCPRELOAD_CHANCE_NONE;
	store_relaxed(&chances.busy_ns, now);
	return GCPRELOAD_CHANCE_BUSY;
}

enum gcpreload_chance gcpreload_engine_chance(bool again)
{
	uint64_t others = machine_cpu_of_others();
	bool worked = machine_others_worked(others, load_relaxed(&chances.others_ns));
	struct gil_guard guard;
	PyObject *gc;
	bool yes;

	store_relaxed(&chances.others_ns, others);
	if (worked)
		return chances_busy(again);
	if (!entrance_open(&guard, &gc))
		return GCPRELOAD_CHANCE_NONE;
	yes = chances_due(gc);
	entrance_close(&guard, gc);
	if (yes && machine_others_run())
		return chances_busy(again);
	return yes ? GCPRELOAD_CHANCE_DUE : GCPRELOAD_CHANCE_NONE;
}

static void collect_what_is_due(PyObject *gc)
{
	int64_t counts[GCPRELOAD_GENERATIONS], collected;
	uint64_t before, after;
	int family = kin_lock();

	if (family == -EWOULDBLOCK) {
		process.status.idle.refused_family++;
		return;
	}
	if (collector_counts(gc, counts)) {
		before = gcpreload_now_ns();
		observer_idle_from(machine_cpu_of_others());
		collected = collector_collect(gc, chances.generation, GCPRELOAD_CAUSE_IDLE);
		after = gcpreload_now_ns();
		store_relaxed(&chances.took_ns, after - before);
		pacer_collected(&pacing.pacer, after, chances.generation, counts[0],
				collected > 0 ? (uint64_t)collected : 0, after - before);
	}
	if (family >= 0)
		kin_unlock(family);
}

static void collect_at_chance(PyObject *gc)
{
	if (pacing.pacer.guard_full)
		guard_collect(gc);
	else if (concurrent_is_on())
		concurrent_collect(gc);
	else if (process.wants_chances)
		collect_what_is_due(gc);
	store_relaxed(&chances.others_ns, machine_cpu_of_others());
	process.status.idle.due = 0;
	if (!concurrent_is_on())
		pacing_settle(gc);
}

static PyObject *collect_in_loop(PyObject *self, PyObject *unused)
{
	struct gil_guard guard;
	PyObject *gc;

	(void)self;
	(void)unused;
	if (entrance_open(&guard, &gc)) {
		if (chances.deferred && process.tuned && tuner_still_ours(gc))
			collect_at_chance(gc);
		chances.deferred = false;
		entrance_close(&guard, gc);
	}
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

static struct PyMethodDef collect_def = { "gcpreload_idle", collect_in_loop, METH_NOARGS, NULL };

static enum gcpreload_acted collect_or_defer(PyObject *gc, bool endless)
{
	if (!process.tuned || (!process.wants_chances && !tuner_still_ours(gc)))
		return GCPRELOAD_ACTED_LOOKED;
	if (waiting_defers(&collect_def)) {
		chances.deferred = true;
		return GCPRELOAD_ACTED_COLLECTED;
	}
	if (endless)
		return GCPRELOAD_ACTED_LOOKED;
	waiting_collects(gc);
	collect_at_chance(gc);
	return GCPRELOAD_ACTED_COLLECTED;
}

enum gcpreload_acted gcpreload_engine_collect(bool endless)
{
	enum gcpreload_acted acted;
	struct gil_guard guard;
	PyObject *gc;

	if (!entrance_open(&guard, &gc))
		return GCPRELOAD_ACTED_NOT;
	store_relaxed(&chances.took_ns, 0);
	if (!process.wants_chances && process.tuned)
		pacer_grown(&pacing.pacer, gcpreload_now_ns()); /* else nobody would have come */
	acted = collect_or_defer(gc, endless);
	entrance_close(&guard, gc);
	return acted;
}

void gcpreload_engine_woke(bool at_once)
{
	uint64_t took = load_relaxed(&chances.took_ns);

	if (at_once && took) {
		add_relaxed(&process.at_waits.delayed_wakeups, 1);
		add_relaxed(&process.at_waits.delayed_ns, took);
	}
}

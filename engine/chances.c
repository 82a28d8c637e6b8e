/* SPDX-License-Identifier: MIT */
#include "engine/chances.h"

#include <errno.h>

#include "base/clock.h"
#include "engine/collector.h"
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
	if (load_relaxed(&process.in_greenlet))
		return 0; /* it is ready in a moment, and knows no chance until then */
	return load_relaxed(&process.wants_chances) ? CHANCES_EVERY_NS
	       : load_relaxed(&process.tuned)	    ? GUARD_EVERY_NS
						    : COMMANDS_EVERY_NS;
}

uint64_t gcpreload_engine_expects_ns(void)
{
	return load_relaxed(&process.wants_chances) ? load_relaxed(&pacing.reach.early_ns)
						    : UINT64_MAX;
}

void chances_begin(void)
{
	chances.deferred = false;
	kin_begin();
	store_relaxed(&chances.others_ns, machine_cpu_of_others());
}

bool gcpreload_engine_grown(void)
{
	return load_relaxed(&process.tuned) && !load_relaxed(&pacing.marks) &&
	       guard_has_grown(gcpreload_now_ns());
}

static bool chances_due(PyObject *gc)
{
	return !chances.deferred && tuner_still_ours(gc) && pacing_is_due(gc, gcpreload_now_ns());
}

/* A server's thread hands requests to others and waits for new ones: when those are done, nobody
 * wakes it. Without the GIL, so other threads of a server may count here at once: what is lost of
 * a counter is a refusal, and of a moment a look. */
static enum gcpreload_chance chances_busy(bool again)
{
	struct reach *reach = &pacing.reach;
	uint64_t now = gcpreload_now_ns();

	/* Its collections in requests are short. */
	if (load_relaxed(&pacing.marks))
		return GCPRELOAD_CHANCE_NONE;
	if (again)
		return GCPRELOAD_CHANCE_BUSY;
	if (reach_expects(reach, now)) {
		add_relaxed(&process.at_waits.refused_busy, 1);
		reach_refused(reach);
	} else if (!reach_may(reach, now)) {
		return GCPRELOAD_CHANCE_NONE;
	}
	if (reach_is_overdue(reach, now) && !load_relaxed(&process.guard_asked))
		store_relaxed(&process.guard_asked, gcpreload_engine_soon());
	if (load_relaxed(&reach->lost) &&
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

/* The marker has the family's lock for itself. */
static void collect_alone(PyObject *gc)
{
	int family = pacing.marks ? -ENOENT : kin_lock();
	uint64_t before = gcpreload_now_ns();

	if (family == -EWOULDBLOCK) {
		process.status.idle.refused_family++;
		return;
	}
	pacing_collect(gc);
	store_relaxed(&chances.took_ns, gcpreload_elapsed(before, gcpreload_now_ns()));
	if (family >= 0)
		kin_unlock(family);
}

static void collect_at_chance(PyObject *gc)
{
	if (guard_state.full)
		pacing_guard(gc);
	else if (process.wants_chances)
		collect_alone(gc);
	store_relaxed(&chances.others_ns, machine_cpu_of_others());
	process.status.idle.due = 0;
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
		/* else nobody would have come */
		guard_ask(GCPRELOAD_GUARD_GROWTH, gcpreload_now_ns());
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

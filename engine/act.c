/* SPDX-License-Identifier: MIT */
/* The entrances from preload/: each takes the GIL where it must, decides, and tells the ring. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/begin.h"
#include "engine/chances.h"
#include "engine/engine.h"
#include "engine/entrance.h"
#include "engine/pacing.h"
#include "engine/process.h"
#include "engine/router.h"
#include "engine/tuner.h"
#include "inject/observer.h"
#include "inject/waiting.h"

/* It serves with the interpreter's own collector. A parent that was told later may have frozen what
 * this process inherited. */
static enum gcpreload_acted act_not(PyObject *gc)
{
	tuner_thaw(gc);
	if (process.mode == GCPRELOAD_MODE_OFF)
		process_is_off();
	else
		process_observes();
	return GCPRELOAD_ACTED_LOOKED;
}

static void act_pace_otherwise(PyObject *gc, uint64_t ready_ns, const char *why)
{
	process.mode = process.attached ? GCPRELOAD_MODE_FREEZE : GCPRELOAD_MODE_IDLE;
	process.fallback = why;
	gcpreload_log(GCPRELOAD_LOG_INFO, "using mode %s: %s", process.attached ? "freeze" : "idle",
		      why);
	pacing_begin(gc, ready_ns);
}

/* Where mode concurrent cannot be, mode idle is; where no waits are seen, mode freeze. */
static void act_pace(PyObject *gc, uint64_t ready_ns)
{
	const char *why = NULL;

	process.fallback = NULL;
	if (process.attached && process.mode == GCPRELOAD_MODE_IDLE)
		why = "not idle: its waits are not seen";
	else
		why = pacing_begin(gc, ready_ns);
	if (why)
		act_pace_otherwise(gc, ready_ns, why);
}

static enum gcpreload_acted act_tune(PyObject *gc)
{
	struct tuner_done done = tuner_tune(gc);

	if (done.tuned) {
		chances_begin();
		act_pace(gc, done.took_ns);
		gcpreload_log(GCPRELOAD_LOG_INFO,
			      "ready (%s): %lld collected, %lld frozen, thresholds %d,%d,%d",
			      process.status.fired, (long long)done.garbage,
			      (long long)process.status.frozen_objects,
			      process.status.thresholds[0], process.status.thresholds[1],
			      process.status.thresholds[2]);
	}
	return done.collected ? GCPRELOAD_ACTED_COLLECTED : GCPRELOAD_ACTED_LOOKED;
}

/* It is measured, in the period of the start: with those that serve it is not compared. */
static bool act_is_router(PyObject *gc)
{
	const char *why = process.mode == GCPRELOAD_MODE_OFF ? NULL : router_why(gc);

	if (!why)
		return false;
	process.status.state = GCPRELOAD_STATE_OBSERVING;
	process_text(reason, why);
	return true;
}

static enum gcpreload_acted act_ready(PyObject *gc)
{
	static const enum gcpreload_acted otherwise[] = {
		[TUNER_NOT_NOW] = GCPRELOAD_ACTED_NOT,
		[TUNER_NEVER] = GCPRELOAD_ACTED_LOOKED,
	};
	enum gcpreload_acted acted;
	enum tuner_may may;

	if (act_is_router(gc)) {
		acted = GCPRELOAD_ACTED_LOOKED;
	} else if (process.mode < GCPRELOAD_MODE_FREEZE) {
		acted = act_not(gc);
	} else {
		may = tuner_consent(gc, true);
		acted = may == TUNER_MAY ? act_tune(gc) : otherwise[may];
	}
	process_publish();
	return acted;
}

/* It is to serve: what it was told meanwhile counts, and what it is. */
static void act_begins(void)
{
	begin_with_mode();
	process.begun = true;
	process.status.flags &= ~GCPRELOAD_FLAG_PARENT;
}

static PyObject *ready_in_loop(PyObject *self, PyObject *unused)
{
	struct gil_guard guard;
	PyObject *gc;

	(void)self;
	(void)unused;
	if (entrance_open(&guard, &gc)) {
		if (load_relaxed(&process.in_greenlet) && !process_stands_back())
			act_ready(gc);
		store_relaxed(&process.in_greenlet, false);
		entrance_close(&guard, gc);
	}
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

static struct PyMethodDef ready_def = { "gcpreload_ready", ready_in_loop, METH_NOARGS, NULL };

/* Now, or as a task of the event loop where its own thread must not. */
static enum gcpreload_acted ready_or_defer(PyObject *gc)
{
	bool deferred = waiting_defers(&ready_def);

	store_relaxed(&process.in_greenlet, deferred);
	if (deferred)
		return GCPRELOAD_ACTED_COLLECTED;
	waiting_collects(gc);
	return act_ready(gc);
}

enum gcpreload_acted gcpreload_engine_ready(const char *fired)
{
	enum gcpreload_acted acted = GCPRELOAD_ACTED_LOOKED;
	struct gil_guard guard;
	PyObject *gc;

	if (!entrance_open(&guard, &gc))
		return GCPRELOAD_ACTED_NOT;
	act_begins();
	process_text(fired, fired);
	if (process.mode < GCPRELOAD_MODE_FREEZE)
		acted = process_stands_back() ? acted : act_ready(gc);
	else if (!process_stands_back())
		acted = ready_or_defer(gc);
	entrance_close(&guard, gc);
	return acted;
}

enum gcpreload_acted gcpreload_engine_baseline(const char *fired, uint64_t due_ns)
{
	enum tuner_may may = TUNER_MAY;
	struct gil_guard guard;
	PyObject *gc;

	if (!entrance_open(&guard, &gc))
		return GCPRELOAD_ACTED_NOT;
	act_begins();
	process_text(fired, fired);
	if (act_is_router(gc)) {
		may = TUNER_NEVER;
	} else if (process.mode < GCPRELOAD_MODE_FREEZE) {
		act_not(gc);
	} else if (!process_stands_back() && (may = tuner_consent(gc, true)) == TUNER_MAY) {
		process_text(reason, "measuring the interpreter's own collector first");
		process.status.state = GCPRELOAD_STATE_BASELINE;
		process.status.period = GCPRELOAD_PERIOD_BASELINE;
		process.status.due_ns = due_ns;
	}
	process_publish();
	entrance_close(&guard, gc);
	return may == TUNER_NOT_NOW ? GCPRELOAD_ACTED_NOT : GCPRELOAD_ACTED_LOOKED;
}

/* Nothing of ours stays; what the application changed since is not ours to restore. */
static void act_thaw(PyObject *gc, enum gcpreload_state state, const char *reason)
{
	tuner_thaw(gc);
	process.thawed = true;
	process.status.state = state;
	process_text(reason, reason);
}

static const char told[] = "by gcpreload set";

static enum gcpreload_acted act_stop(PyObject *gc, enum gcpreload_mode mode, const char *why)
{
	process.mode = mode;
	act_thaw(gc, mode == GCPRELOAD_MODE_OFF ? GCPRELOAD_STATE_OFF : GCPRELOAD_STATE_OBSERVING,
		 why);
	return GCPRELOAD_ACTED_LOOKED;
}

static enum gcpreload_acted act_start(PyObject *gc, enum gcpreload_mode mode, const char *why)
{
	if (process_stands_back())
		return GCPRELOAD_ACTED_LOOKED;
	process.thawed = false;
	process.mode = mode;
	/* It freezes at its next fork, and serves nothing that thresholds would be for. */
	if (process.status.flags & GCPRELOAD_FLAG_PARENT) {
		process.status.state = GCPRELOAD_STATE_PARENT;
		process_text(reason, "");
		return GCPRELOAD_ACTED_LOOKED;
	}
	process_text(fired, why);
	return ready_or_defer(gc);
}

/* Taken back: as it would be without any command. What is so already stays. */
static enum gcpreload_acted act_as_before(PyObject *gc)
{
	enum gcpreload_mode mode = begin_mode_of_settings();

	process.by_command = false;
	if (mode == process.mode && !process.thawed)
		return GCPRELOAD_ACTED_LOOKED;
	if (mode >= GCPRELOAD_MODE_FREEZE)
		return act_start(gc, mode, told);
	act_stop(gc, mode, "");
	if (mode == GCPRELOAD_MODE_OFF)
		process_is_off();
	else
		process_observes();
	return GCPRELOAD_ACTED_LOOKED;
}

/* What only observes, or is off, is told to tune, and not how. */
static enum gcpreload_mode act_mode_that_tunes(void)
{
	enum gcpreload_mode by_settings = load_relaxed(&settings->mode);

	if (process.mode >= GCPRELOAD_MODE_FREEZE)
		return process.mode;
	return by_settings >= GCPRELOAD_MODE_FREEZE ? by_settings : GCPRELOAD_MODE_CONCURRENT;
}

static enum gcpreload_acted act_on_command(PyObject *gc, const char *verb)
{
	static const struct {
		const char *verb;
		enum gcpreload_mode mode;
	} modes[] = {
		{ "mode=off", GCPRELOAD_MODE_OFF },
		{ "mode=observe", GCPRELOAD_MODE_OBSERVE },
		{ "mode=freeze", GCPRELOAD_MODE_FREEZE },
		{ "mode=idle", GCPRELOAD_MODE_IDLE },
		{ "mode=concurrent", GCPRELOAD_MODE_CONCURRENT },
	};
	size_t i;

	for (i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(verb, modes[i].verb) != 0)
			continue;
		process.by_command = true;
		return modes[i].mode < GCPRELOAD_MODE_FREEZE ? act_stop(gc, modes[i].mode, told)
							     : act_start(gc, modes[i].mode, told);
	}
	if (strcmp(verb, "mode=default") == 0)
		return act_as_before(gc);
	if (strcmp(verb, "thaw") == 0) {
		act_thaw(gc, GCPRELOAD_STATE_OBSERVING, "by gcpreload thaw");
	} else if (strcmp(verb, "ready") == 0) {
		if (process.status.state == GCPRELOAD_STATE_STARTING &&
		    !(process.status.flags & GCPRELOAD_FLAG_PARENT))
			act_begins();
		return act_start(gc, act_mode_that_tunes(), "by gcpreload ready");
	} else {
		gcpreload_log(GCPRELOAD_LOG_WARNING, "control file: '%s' is not a command, ignored",
			      verb);
	}
	return GCPRELOAD_ACTED_LOOKED;
}

enum gcpreload_acted gcpreload_engine_command(const char *verb, uint64_t serial)
{
	enum gcpreload_acted acted;
	struct gil_guard guard;
	PyObject *gc;

	if (!entrance_open(&guard, &gc))
		return GCPRELOAD_ACTED_NOT;
	acted = process.job ? GCPRELOAD_ACTED_LOOKED : act_on_command(gc, verb);
	if (acted != GCPRELOAD_ACTED_NOT) {
		if (serial > process.status.control_serial)
			process.status.control_serial = serial;
		process_publish(); /* its answer stands there */
	} else {
		process_update();
	}
	entrance_close(&guard, gc);
	return acted;
}

void gcpreload_engine_check(void)
{
	struct gil_guard guard;
	PyObject *gc;

	if (!load_relaxed(&process.tuned) || !entrance_open(&guard, &gc))
		return;
	/* The application may have cleared gc.callbacks, and nobody would count. */
	if (tuner_still_ours(gc))
		observer_attach(gc);
	gcpreload_ring_load(gcpreload_now_ns(), false);
	entrance_close(&guard, gc);
}

bool gcpreload_engine_lacks_ring(uint64_t now_ns)
{
	return process_lacks_ring(now_ns);
}

void gcpreload_engine_make_ring(void)
{
	struct gil_guard guard;
	PyObject *gc;

	if (!entrance_open(&guard, &gc))
		return;
	if (process_lacks_ring(gcpreload_now_ns())) /* still: a child begins at the entrance */
		process_publish();
	entrance_close(&guard, gc);
}

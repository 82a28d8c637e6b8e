/* SPDX-License-Identifier: MIT */
#include "inject/tuner.h"

#include <string.h>

#include "inject/collector.h"
#include "inject/idle.h"
#include "inject/module.h"
#include "inject/process.h"

#define IMMORTALS_AT_MOST 2000

/* Of this process and its ancestors: fork() copies the collector too. */
static int32_t interpreters_own[GCPRELOAD_GENERATIONS];
static int32_t set_by_us[GCPRELOAD_GENERATIONS];
static int32_t before_us[GCPRELOAD_GENERATIONS];
static bool thresholds_are_ours, frozen_by_us, at_exit_registered;
static int64_t frozen_at_most; /* by us and the interpreter: more is the application's */
static int64_t frozen_by_interpreter;

enum tuner_recipe tuner_recipe_for(const struct pyversion *version)
{
	if (version->free_threaded) {
		if (version->minor < 14 || (version->minor == 14 && version->micro < 3))
			return TUNER_OBSERVE;
		return TUNER_THRESHOLDS;
	}
	/* The incremental collector; 3.14.5 went back to generations. */
	if (version->minor == 14 && version->micro < 5)
		return TUNER_THRESHOLDS;
	return TUNER_FREEZE;
}

void tuner_forget(void)
{
	thresholds_are_ours = frozen_by_us = at_exit_registered = false;
	frozen_at_most = 0;
}

bool tuner_note_defaults(PyObject *gc)
{
	frozen_at_most = collector_ask(gc, "get_freeze_count");
	frozen_by_interpreter = frozen_at_most;
	return frozen_at_most >= 0 && collector_thresholds(gc, interpreters_own);
}

void tuner_thresholds(int32_t now[GCPRELOAD_GENERATIONS], int32_t before[GCPRELOAD_GENERATIONS])
{
	const int32_t *ours = thresholds_are_ours ? set_by_us : interpreters_own;
	const int32_t *own = thresholds_are_ours ? before_us : interpreters_own;

	memcpy(now, ours, GCPRELOAD_GENERATIONS * sizeof *now);
	memcpy(before, own, GCPRELOAD_GENERATIONS * sizeof *before);
}

int64_t tuner_frozen(void)
{
	return frozen_at_most;
}

/* From 3.12 on a collection moves the immortal objects it meets to the permanent generation, a few
 * at a time; an application's gc.freeze() moves thousands. */
static bool frozen_by_others(PyObject *gc)
{
	return collector_ask(gc, "get_freeze_count") > frozen_at_most + IMMORTALS_AT_MOST;
}

static const char *look(PyObject *gc)
{
	const int32_t *expected = thresholds_are_ours ? set_by_us : interpreters_own;
	int32_t now[GCPRELOAD_GENERATIONS];

	if (collector_ask(gc, "isenabled") != 1)
		return "the application disabled gc";
	if (collector_ask(gc, "get_debug") != 0)
		return "the application set gc debug flags";
	if (!collector_thresholds(gc, now))
		return "gc.get_threshold() cannot be read";
	memcpy(process.status.thresholds, now, sizeof now);
	if (memcmp(now, expected, sizeof now) != 0)
		return thresholds_are_ours ? "the application changed gc thresholds after us"
					   : "the application set its own gc thresholds";
	return NULL;
}

const char *tuner_applications_word(PyObject *gc)
{
	const char *word = look(gc);

	if (!word && frozen_by_others(gc))
		word = "the application froze objects itself";
	return policy->force ? NULL : word;
}

const char *tuner_applications_word_later(PyObject *gc)
{
	const char *word = look(gc);

	return policy->force ? NULL : word;
}

void tuner_give_back(PyObject *gc)
{
	if (!frozen_by_us || process.status.state != GCPRELOAD_STATE_STARTING ||
	    frozen_by_others(gc))
		return;
	collector_ask(gc, "unfreeze");
	frozen_by_us = false;
	frozen_at_most = frozen_by_interpreter;
}

void tuner_stand_back(const char *reason)
{
	process.status.state = GCPRELOAD_STATE_STANDING_BACK;
	process.status.due_ns = 0;
	idle_end();
	process_text(reason, reason);
	/* It serves, with a collector that is not ours. */
	process.status.period = GCPRELOAD_PERIOD_BASELINE;
	policy->log(GCPRELOAD_LOG_INFO, "standing back: %s", reason);
}

static PyObject *unfreeze_at_exit(PyObject *self, PyObject *unused)
{
	PyObject *gc = module_gc();

	(void)self;
	(void)unused;
	if (gc && frozen_by_us)
		collector_ask(gc, "unfreeze");
	py_drop(gc);
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

static struct PyMethodDef unfreeze_def = { "gcpreload_unfreeze", unfreeze_at_exit, METH_NOARGS,
					   NULL };

/* Before the collection, during which signals may come: their handlers must not run in the
 * import of atexit.
 *
 * What is frozen is not looked at by the interpreter's last collections either: a file held by
 * a frozen cycle would never be flushed. Registered only now, so that a process that never
 * becomes ready has nothing of ours on atexit. */
static bool prepare(void)
{
	if (!at_exit_registered)
		at_exit_registered = collector_at_exit(&unfreeze_def);
	return at_exit_registered;
}

static bool freeze(PyObject *gc)
{
	if (collector_ask(gc, "freeze") < 0)
		return false;
	frozen_by_us = true;
	frozen_at_most = collector_ask(gc, "get_freeze_count");
	process.status.frozen_objects = frozen_at_most;
	return true;
}

static bool raise_thresholds(PyObject *gc)
{
	int32_t wanted[GCPRELOAD_GENERATIONS];
	int i;

	if (!collector_thresholds(gc, wanted))
		return false;
	/* What mode idle has made of them is not what is kept. */
	if (thresholds_are_ours)
		memcpy(wanted, before_us, sizeof wanted);
	else
		memcpy(before_us, wanted, sizeof before_us);
	for (i = 0; i < GCPRELOAD_GENERATIONS; i++)
		if (policy->thresholds[i] != GCPRELOAD_KEEP)
			wanted[i] = policy->thresholds[i];
	/* Read back: the incremental collector of 3.14.0-3.14.4 keeps only two of them. */
	if (!collector_set_thresholds(gc, wanted) || !collector_thresholds(gc, set_by_us))
		return false;
	thresholds_are_ours = true;
	tuner_thresholds(process.status.thresholds, process.status.thresholds_before);
	return true;
}

bool tuner_adapt_thresholds(PyObject *gc, int32_t threshold0, int32_t threshold2)
{
	int32_t wanted[GCPRELOAD_GENERATIONS];

	if (!thresholds_are_ours)
		return false;
	memcpy(wanted, set_by_us, sizeof wanted);
	wanted[0] = threshold0;
	if (policy->thresholds[2] == GCPRELOAD_KEEP)
		wanted[2] = threshold2;
	if (!collector_set_thresholds(gc, wanted) || !collector_thresholds(gc, set_by_us))
		return false;
	tuner_thresholds(process.status.thresholds, process.status.thresholds_before);
	return true;
}

enum gcpreload_acted tuner_tune(PyObject *gc)
{
	enum tuner_recipe recipe = tuner_recipe_for(&python_version);
	int64_t garbage = 0;
	uint64_t began = 0, ready_ns = 0;

	if (recipe == TUNER_OBSERVE) {
		tuner_stand_back("this free-threaded Python is slower with frozen objects");
		return GCPRELOAD_ACTED_LOOKED;
	}
	/* Our own collection is not charged to the interpreter's. */
	process.status.period = GCPRELOAD_PERIOD_TUNED;
	process_update();
	if (recipe == TUNER_FREEZE) {
		began = gcpreload_ring_now();
		garbage = prepare() ? collector_collect(gc, 2, GCPRELOAD_CAUSE_READY) : -1;
		ready_ns = gcpreload_ring_now() - began;
		if (garbage < 0 || !freeze(gc)) {
			tuner_stand_back("gc.collect or gc.freeze failed");
			return GCPRELOAD_ACTED_COLLECTED;
		}
	}
	if (!raise_thresholds(gc)) {
		tuner_stand_back("gc.set_threshold failed");
		return GCPRELOAD_ACTED_COLLECTED;
	}
	process.status.state = GCPRELOAD_STATE_READY;
	process.status.due_ns = 0;
	process_text(reason, "");
	idle_begin(gc, ready_ns);
	policy->log(GCPRELOAD_LOG_INFO,
		    "ready (%s): %lld collected, %lld frozen, thresholds %d,%d,%d",
		    process.status.fired, (long long)garbage,
		    (long long)process.status.frozen_objects, process.status.thresholds[0],
		    process.status.thresholds[1], process.status.thresholds[2]);
	return recipe == TUNER_FREEZE ? GCPRELOAD_ACTED_COLLECTED : GCPRELOAD_ACTED_LOOKED;
}

/* Objects that a collection would look at. */
static int64_t unfrozen(PyObject *gc)
{
	PyObject *objects = py.PyObject_CallMethod(gc, "get_objects", NULL);
	int64_t n = objects ? py.PyList_Size(objects) : -1;

	py_drop(objects);
	return n;
}

void tuner_freeze_before_fork(PyObject *gc)
{
	int64_t frozen = process.status.frozen_objects;

	if (tuner_recipe_for(&python_version) == TUNER_OBSERVE)
		return;
	/* A master that starts a worker anew has little to add: not each time. */
	if (frozen > 0 && unfrozen(gc) < frozen / 4)
		return;
	if (!prepare() || collector_collect(gc, 2, GCPRELOAD_CAUSE_PREFORK) < 0 || !freeze(gc)) {
		tuner_stand_back("gc.collect or gc.freeze failed");
		return;
	}
	if (process.status.state == GCPRELOAD_STATE_STARTING)
		process.status.state = GCPRELOAD_STATE_PARENT;
	policy->log(GCPRELOAD_LOG_INFO, "%s: %lld objects frozen before the fork",
		    process.status.fired, (long long)process.status.frozen_objects);
}

void tuner_thaw(PyObject *gc)
{
	if (frozen_by_us)
		collector_ask(gc, "unfreeze");
	if (thresholds_are_ours)
		collector_set_thresholds(gc, before_us);
	frozen_by_us = false;
	frozen_at_most = frozen_by_interpreter;
	thresholds_are_ours = false;
	if (process.status.frozen_objects >= 0)
		process.status.frozen_objects = 0;
	tuner_thresholds(process.status.thresholds, process.status.thresholds_before);
	process.status.period = GCPRELOAD_PERIOD_BASELINE;
	process.status.due_ns = 0;
}

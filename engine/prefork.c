/* SPDX-License-Identifier: MIT */
/* Before a server forks its workers: what they inherit is frozen, so that they share its pages. */
#include "base/machine.h"
#include "engine/begin.h"
#include "engine/collector.h"
#include "engine/engine.h"
#include "engine/entrance.h"
#include "engine/process.h"
#include "engine/referrers.h"
#include "engine/tuner.h"
#include "inject/hooks.h"
#include "inject/inject.h"
#include "inject/module.h"
#include "rules/forked.h"

/* It was told after it had frozen; its children are to inherit nothing frozen. */
static void thaw_before_fork(PyObject *gc)
{
	tuner_thaw(gc);
	if (process.mode == GCPRELOAD_MODE_OFF)
		process_is_off();
	else
		process_observes();
}

static void freeze_before_fork(PyObject *gc, const char *fired)
{
	/* What serves by itself, too, is told at its waits. */
	if (!process.begun)
		process.status.flags |= GCPRELOAD_FLAG_PARENT;
	begin_with_mode();
	if (process.status.state == GCPRELOAD_STATE_PARENT && process.mode < GCPRELOAD_MODE_FREEZE)
		thaw_before_fork(gc);
	if (process_stands_back() || process.thawed || process.mode < GCPRELOAD_MODE_FREEZE) {
		process_update();
		return;
	}
	process_text(fired, fired);
	if (tuner_consent(gc, process.status.state == GCPRELOAD_STATE_STARTING) == TUNER_MAY)
		tuner_freeze_before_fork(gc);
	process_publish();
}

void gcpreload_engine_prefork(const char *fired)
{
	struct gil_guard guard;
	PyObject *gc;

	if (!entrance_open(&guard, &gc))
		return;
	freeze_before_fork(gc, fired);
	entrance_close(&guard, gc);
}

void gcpreload_engine_prefork_from_c(const char *fired)
{
	struct gil_guard guard;
	bool from_python;

	/* Never waited for: it may be another thread's that waits for a mutex of our caller's.
	 * Where nobody has it, and there is nobody else (uWSGI's master), it is there to be taken.
	 */
	if (inject_in_os_fork() ||
	    (gcpreload_inject_gil() != GCPRELOAD_GIL_HELD &&
	     !(gil_is_free() && machine_single_threaded())) ||
	    !gil_enter(&guard))
		return;
	/* PyEval_GetFrame would allocate, and with the fork's locks held. */
	from_python = py.PyEval_GetGlobals() != NULL;
	gil_leave(&guard);
	if (!from_python)
		gcpreload_engine_prefork(fired);
}

static bool prefork_module_is_loaded(const char *name)
{
	return module_loaded(name) != NULL;
}

/* By the module whose code calls os.fork(). */
static bool prefork_caller_makes_workers(void)
{
	PyObject *globals = py.PyEval_GetGlobals();
	PyObject *name = globals ? py.PyDict_GetItemString(globals, "__name__") : NULL;
	const char *text = name ? py.PyUnicode_AsUTF8AndSize(name, NULL) : NULL;

	if (!text)
		py.PyErr_Clear();
	return text && forked_by_module(text, prefork_module_is_loaded);
}

/* All is loaded before the first fork, so it is counted once: that takes a walk. */
static bool prefork_heap_is_worth_it(void)
{
	PyObject *gc = process.worth_a_fork ? NULL : module_gc();
	int64_t objects;

	if (gc) {
		objects = referrers_count_unfrozen(gc, -1);
		if (objects != INT64_MAX)
			objects += collector_ask(gc, "get_freeze_count");
		process.worth_a_fork = forked_is_worth(objects) ? 1 : -1;
	}
	py_drop(gc);
	return process.worth_a_fork > 0;
}

bool gcpreload_engine_forks_workers(void)
{
	struct gil_guard guard;
	bool yes = false;

	if (!settings || !gil_enter(&guard))
		return false;
	if (py_in_main_interpreter() && prefork_caller_makes_workers()) {
		begin_if_new();
		yes = prefork_heap_is_worth_it();
	}
	gil_leave(&guard);
	return yes;
}

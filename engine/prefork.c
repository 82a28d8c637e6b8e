/* SPDX-License-Identifier: MIT */
/* Before a server forks its workers: what they inherit is frozen, so that they share its pages. */
#include "base/machine.h"
#include "engine/begin.h"
#include "engine/engine.h"
#include "engine/entrance.h"
#include "engine/process.h"
#include "engine/tuner.h"
#include "inject/hooks.h"
#include "inject/inject.h"

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

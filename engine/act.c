/* SPDX-License-Identifier: MIT */
/* The entrances from preload/: each takes the GIL where it must, decides, and tells the ring. */
#include <string.h>

#include "base/log.h"
#include "base/shared.h"
#include "engine/act.h"
#include "engine/collector.h"
#include "engine/idle.h"
#include "engine/process.h"
#include "engine/startup.h"
#include "engine/tuner.h"
#include "inject/gil.h"
#include "inject/inject.h"
#include "inject/module.h"
#include "inject/observer.h"
#include "inject/waiting.h"

static bool standing_back(void)
{
	return process.status.state == GCPRELOAD_STATE_STANDING_BACK;
}

bool act_open(struct gil_guard *guard, PyObject **gc)
{
	if (!settings || !gil_enter(guard))
		return false;
	if (!py_in_main_interpreter()) {
		gil_leave(guard);
		return false;
	}
	process_begin_if_new();
	*gc = module_gc();
	if (*gc) {
		startup_end(*gc); /* whoever acts has found that the start is over */
		return true;
	}
	py.PyErr_Clear();
	gil_leave(guard);
	return false;
}

void act_close(struct gil_guard *guard, PyObject *gc)
{
	py_drop(gc);
	gil_leave(guard);
}

static enum gcpreload_acted observe(void)
{
	process_observes();
	process.status.period = GCPRELOAD_PERIOD_BASELINE;
	process.status.due_ns = 0;
	return GCPRELOAD_ACTED_LOOKED;
}

/* Whether tuning may go on; else process.status says why not. first: also whether the application
 * has frozen something, which takes a walk over all that is frozen. */
static enum tuner_may may_tune(PyObject *gc, bool first)
{
	const char *word;
	enum tuner_may may;

	observer_attach(gc); /* the application may have cleared gc.callbacks */
	if (settings->ring == GCPRELOAD_RING_REQUIRE && !process_publish()) {
		tuner_stand_back(gc, "no ring, and GCPRELOAD_RING=require");
		return TUNER_NEVER;
	}
	may = first ? tuner_may(gc, &word) : tuner_may_still(gc, &word);
	if (may == TUNER_NEVER)
		tuner_stand_back(gc, word);
	else if (may == TUNER_NOT_NOW)
		process_text(reason, word);
	return may;
}

static enum gcpreload_acted ready(PyObject *gc)
{
	enum gcpreload_acted acted = GCPRELOAD_ACTED_LOOKED;

	if (process.mode == GCPRELOAD_MODE_OBSERVE) {
		acted = observe();
	} else {
		switch (may_tune(gc, true)) {
		case TUNER_MAY:
			acted = tuner_tune(gc);
			break;
		case TUNER_NOT_NOW:
			acted = GCPRELOAD_ACTED_NOT;
			break;
		case TUNER_NEVER:
			break;
		}
	}
	process_publish();
	return acted;
}

static PyObject *ready_in_loop(PyObject *self, PyObject *unused)
{
	struct gil_guard guard;
	PyObject *gc;

	(void)self;
	(void)unused;
	if (act_open(&guard, &gc)) {
		if (process.in_greenlet && !standing_back())
			ready(gc);
		process.in_greenlet = false;
		act_close(&guard, gc);
	}
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

static struct PyMethodDef ready_def = { "gcpreload_ready", ready_in_loop, METH_NOARGS, NULL };

/* Now, or as a task of the event loop where its own thread must not. */
static enum gcpreload_acted ready_or_defer(PyObject *gc)
{
	process.in_greenlet = waiting_defers(&ready_def);
	if (process.in_greenlet)
		return GCPRELOAD_ACTED_COLLECTED;
	waiting_collects(gc);
	return ready(gc);
}

enum gcpreload_acted gcpreload_inject_ready(const char *fired)
{
	enum gcpreload_acted acted = GCPRELOAD_ACTED_LOOKED;
	struct gil_guard guard;
	PyObject *gc;

	if (!act_open(&guard, &gc))
		return GCPRELOAD_ACTED_NOT;
	if (!standing_back() && process.mode != GCPRELOAD_MODE_OFF) {
		process_text(fired, fired);
		acted = ready_or_defer(gc);
	}
	act_close(&guard, gc);
	return acted;
}

enum gcpreload_acted gcpreload_inject_baseline(const char *fired, uint64_t due_ns)
{
	enum tuner_may may = TUNER_MAY;
	struct gil_guard guard;
	PyObject *gc;

	if (!act_open(&guard, &gc))
		return GCPRELOAD_ACTED_NOT;
	process_text(fired, fired);
	if (process.mode == GCPRELOAD_MODE_OBSERVE) {
		observe();
	} else if (!standing_back() && process.mode >= GCPRELOAD_MODE_FREEZE &&
		   (may = may_tune(gc, true)) == TUNER_MAY) {
		process_text(reason, "measuring the interpreter's own gc first");
		process.status.state = GCPRELOAD_STATE_BASELINE;
		process.status.period = GCPRELOAD_PERIOD_BASELINE;
		process.status.due_ns = due_ns;
	}
	process_publish();
	act_close(&guard, gc);
	return may == TUNER_NOT_NOW ? GCPRELOAD_ACTED_NOT : GCPRELOAD_ACTED_LOOKED;
}

static void prefork(PyObject *gc, const char *fired)
{
	if (standing_back() || process.thawed || process.mode < GCPRELOAD_MODE_FREEZE)
		return;
	process_text(fired, fired);
	if (may_tune(gc, process.status.state == GCPRELOAD_STATE_STARTING) == TUNER_MAY)
		tuner_freeze_before_fork(gc);
	process_publish();
}

void gcpreload_inject_prefork(const char *fired)
{
	struct gil_guard guard;
	PyObject *gc;

	if (!act_open(&guard, &gc))
		return;
	prefork(gc, fired);
	act_close(&guard, gc);
}

static __thread bool in_os_fork __attribute__((tls_model("initial-exec")));

void act_in_os_fork(bool yes)
{
	in_os_fork = yes;
}

void gcpreload_inject_prefork_from_c(const char *fired)
{
	struct gil_guard guard;
	bool from_python;

	/* Never waited for: it may be another thread's that waits for a mutex of our caller's.
	 * Where nobody has it, and there is nobody else (uWSGI's master), it is there to be taken.
	 */
	if (in_os_fork ||
	    (gcpreload_inject_gil() != GCPRELOAD_GIL_HELD &&
	     !(gil_is_free() && gcpreload_inject_is_single_threaded())) ||
	    !gil_enter(&guard))
		return;
	/* PyEval_GetFrame would allocate, and with the fork's locks held. */
	from_python = py.PyEval_GetGlobals() != NULL;
	gil_leave(&guard);
	if (!from_python)
		gcpreload_inject_prefork(fired);
}

/* The interpreter's queue has 32 places, and a main thread that blocks empties none of them: one is
 * ours, whatever is wanted. */
static uint32_t asked;

static int run_act(void *unused)
{
	struct gil_guard guard;

	(void)unused;
	store_release(&asked, 0);
	gil_keep(&guard);
	if (py_in_main_interpreter())
		process_act();
	hooks->act();
	gil_leave(&guard);
	return 0;
}

bool gcpreload_inject_soon(void)
{
	if (!py.Py_IsInitialized || !py.Py_IsInitialized() || py.Py_IsFinalizing())
		return false;
	if (exchange_acq_rel(&asked, 1))
		return true;
	if (py.Py_AddPendingCall(run_act, NULL) == 0)
		return true;
	store_release(&asked, 0);
	return false;
}

void act_begin_process(void)
{
	store_release(&asked, 0);
}

/* importlib sets __spec__._initializing while it executes a module (3.7 to 3.15). */
static bool imported(const char *name)
{
	PyObject *module = module_loaded(name), *spec, *initializing;
	bool yes;

	if (!module)
		return false;
	spec = py_attribute(module, "__spec__");
	initializing = spec ? py_attribute(spec, "_initializing") : NULL;
	yes = !initializing || py.PyObject_IsTrue(initializing) == 0;
	py_drop(initializing);
	py_drop(spec);
	return yes;
}

bool gcpreload_inject_imported(const char *name)
{
	struct gil_guard guard;
	bool yes = false;

	if (gil_enter(&guard)) {
		yes = imported(name);
		gil_leave(&guard);
	}
	return yes;
}

int64_t gcpreload_inject_modules(void)
{
	struct gil_guard guard;
	PyObject *modules;
	int64_t n = -1;

	if (gil_enter(&guard)) {
		modules = py.PyImport_GetModuleDict();
		n = modules ? py.PyDict_Size(modules) : -1;
		gil_leave(&guard);
	}
	return n;
}

/* Nothing of ours stays; what the application changed since is not ours to restore. */
static void thaw(PyObject *gc, enum gcpreload_state state, const char *reason)
{
	tuner_thaw(gc);
	idle_end();
	process.thawed = true;
	process.status.state = state;
	process_text(reason, reason);
}

static enum gcpreload_acted command(PyObject *gc, const char *verb)
{
	static const char told[] = "by gcpreload set";

	if (strcmp(verb, "mode=off") == 0) {
		process.mode = GCPRELOAD_MODE_OFF;
		thaw(gc, GCPRELOAD_STATE_OFF, told);
	} else if (strcmp(verb, "mode=observe") == 0) {
		process.mode = GCPRELOAD_MODE_OBSERVE;
		thaw(gc, GCPRELOAD_STATE_OBSERVING, told);
	} else if (strcmp(verb, "thaw") == 0) {
		thaw(gc, GCPRELOAD_STATE_OBSERVING, "by gcpreload thaw");
	} else if (strcmp(verb, "mode=freeze") == 0 || strcmp(verb, "mode=idle") == 0 ||
		   strcmp(verb, "ready") == 0) {
		if (standing_back())
			return GCPRELOAD_ACTED_LOOKED;
		process.thawed = false;
		if (strcmp(verb, "mode=idle") == 0)
			process.mode = GCPRELOAD_MODE_IDLE;
		else if (*verb == 'm' || process.mode < GCPRELOAD_MODE_FREEZE)
			process.mode = GCPRELOAD_MODE_FREEZE;
		process_text(fired, strcmp(verb, "ready") ? told : "by gcpreload ready");
		return ready_or_defer(gc);
	} else {
		gcpreload_log(GCPRELOAD_LOG_WARNING, "control file: '%s' is not a command, ignored",
			      verb);
	}
	return GCPRELOAD_ACTED_LOOKED;
}

enum gcpreload_acted gcpreload_inject_command(const char *verb, uint64_t serial)
{
	enum gcpreload_acted acted;
	struct gil_guard guard;
	PyObject *gc;

	if (!act_open(&guard, &gc))
		return GCPRELOAD_ACTED_NOT;
	acted = command(gc, verb);
	if (acted != GCPRELOAD_ACTED_NOT)
		process.status.control_serial = serial;
	process_update();
	act_close(&guard, gc);
	return acted;
}

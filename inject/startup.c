/* SPDX-License-Identifier: MIT */
#include "inject/startup.h"

#include "inject/collector.h"
#include "inject/machine.h"
#include "inject/module.h"
#include "inject/policy.h"
#include "inject/process.h"
#include "inject/tuner.h"

#define LOOK_EVERY_NS 250000000ull /* a look at the memory is a dozen system calls */
/* A child of a pre-forking server shares what its parent froze. Unfrozen in the child, those
 * pages are written, and are its own: not for more than a bare server. */
#define SHARED_AT_MOST 100000

bool startup_empties;

static struct policy_startup start;
static bool holding; /* something was frozen for this */
static bool by_us;   /* who calls gc.freeze */
static uint64_t looked_ns;

static void call(PyObject *gc, const char *method)
{
	by_us = true;
	collector_ask(gc, method);
	by_us = false;
}

static void give_back(PyObject *gc)
{
	if (holding)
		call(gc, "unfreeze");
	holding = false;
}

void startup_end(PyObject *gc)
{
	if (startup_empties)
		give_back(gc);
	startup_empties = false;
}

static PyCFunction real_freeze, real_disable;

/* Both tune the collector: the application's own word. The table is of all interpreters. */
static PyObject *application_freezes(PyObject *self, PyObject *unused)
{
	if (!by_us && py_in_main_interpreter())
		startup_empties = false; /* it wants all of it frozen */
	return real_freeze(self, unused);
}

static PyObject *application_disables(PyObject *self, PyObject *unused)
{
	if (py_in_main_interpreter())
		startup_end(self);
	return real_disable(self, unused);
}

static void intercept(PyObject *gc, const char *method, PyCFunction ours, PyCFunction *real)
{
	struct PyMethodDef *entry = *real ? NULL : module_method(gc, "gc", method);

	if (!entry || entry->ml_flags != METH_NOARGS)
		return;
	*real = entry->ml_meth;
	entry->ml_meth = ours;
}

void startup_begin(void)
{
	struct policy_machine machine;
	PyObject *gc;

	startup_empties = false;
	if (policy->startup_gc || process.mode < GCPRELOAD_MODE_FREEZE ||
	    tuner_recipe_for(&python_version) != TUNER_FREEZE || tuner_frozen() > SHARED_AT_MOST)
		return;
	gc = module_gc();
	if (!gc)
		return;
	intercept(gc, "freeze", application_freezes, &real_freeze);
	intercept(gc, "disable", application_disables, &real_disable);
	py_drop(gc);
	if (!real_freeze || !real_disable)
		return;
	machine_look(&machine);
	looked_ns = gcpreload_ring_now();
	policy_startup_begin(&start, looked_ns, &machine);
	startup_empties = true;
}

void startup_at_start(enum gcpreload_cause cause)
{
	PyObject *gc = module_gc();

	if (!gc)
		return;
	if (cause == GCPRELOAD_CAUSE_AUTOMATIC) {
		call(gc, "freeze");
		holding = true;
	} else {
		give_back(gc);
	}
	py_drop(gc);
}

void startup_tick(uint64_t now_ns)
{
	struct policy_machine machine;
	const char *over;
	PyObject *gc;

	/* In a child's first tick the collection has ended before all began. */
	if (!startup_empties || now_ns < looked_ns + LOOK_EVERY_NS)
		return;
	looked_ns = now_ns;
	machine_look(&machine);
	over = policy_startup_over(&start, now_ns, &machine);
	gc = over ? module_gc() : NULL;
	if (!gc)
		return;
	startup_end(gc);
	py_drop(gc);
	process_text(reason, over);
	process_update();
	policy->log(GCPRELOAD_LOG_INFO, "%s", over);
}

/* SPDX-License-Identifier: MIT */
#include "engine/freezer.h"

#include <stddef.h>

#include "engine/collector.h"
#include "inject/module.h"
#include "inject/observer.h"

static PyCFunction real_freeze, real_unfreeze;
static bool by_us; /* who calls */
static bool opens, opened;
static bool application_froze, application_unfroze;
static void (*on_application)(void);

static void application_calls(bool *what)
{
	/* The table is of all interpreters. */
	if (by_us || !py_in_main_interpreter())
		return;
	*what = true;
	if (on_application)
		on_application();
}

static PyObject *application_freeze(PyObject *self, PyObject *unused)
{
	application_calls(&application_froze);
	return real_freeze(self, unused);
}

static PyObject *application_unfreeze(PyObject *self, PyObject *unused)
{
	application_calls(&application_unfroze);
	return real_unfreeze(self, unused);
}

bool freezer_intercept(PyObject *gc)
{
	return module_replace(gc, "gc", "freeze", application_freeze, &real_freeze) &&
	       module_replace(gc, "gc", "unfreeze", application_unfreeze, &real_unfreeze);
}

void freezer_forget(void)
{
	opens = opened = application_froze = application_unfroze = false;
}

static bool freezer_call(PyObject *gc, const char *method)
{
	bool ok, before = by_us;

	by_us = true;
	ok = collector_ask(gc, method) >= 0;
	by_us = before;
	return ok;
}

bool freezer_freeze(PyObject *gc)
{
	application_froze = application_unfroze = false;
	return freezer_call(gc, "freeze");
}

bool freezer_unfreeze(PyObject *gc)
{
	return freezer_call(gc, "unfreeze");
}

bool freezer_application_froze(void)
{
	return application_froze;
}

bool freezer_application_unfroze(void)
{
	return application_unfroze;
}

void freezer_on_application(void (*told)(void))
{
	on_application = told;
}

void freezer_open_for_full(bool yes)
{
	opens = yes;
	observer_ask_at_start(ENGINE_FREEZER, yes);
}

/* PyGC_Collect of a C host or an extension module: the interpreter makes a full collection by
 * itself only when there were more collections of generation 1 than threshold2 and more new objects
 * than threshold0 (Modules/gcmodule.c, Python/gc.c). From 3.12 on some may be freed between that
 * and the collection. */
static bool is_asked_for(PyObject *gc)
{
	int64_t counts[GCPRELOAD_GENERATIONS];
	int32_t thresholds[GCPRELOAD_GENERATIONS], freed;

	if (!collector_counts(gc, counts) || !collector_thresholds(gc, thresholds))
		return false;
	freed = python_version.minor < 12 ? 0 : thresholds[0] / 8;
	return counts[2] <= thresholds[2] || counts[0] + freed <= thresholds[0];
}

enum gcpreload_cause freezer_at_start(unsigned generation, enum gcpreload_cause cause)
{
	PyObject *gc;

	if (!opens || generation != GCPRELOAD_GENERATIONS - 1 || opened ||
	    (cause != GCPRELOAD_CAUSE_EXPLICIT && cause != GCPRELOAD_CAUSE_AUTOMATIC) ||
	    !py_in_main_interpreter())
		return cause;
	gc = module_gc();
	if (gc && cause == GCPRELOAD_CAUSE_AUTOMATIC && is_asked_for(gc))
		cause = GCPRELOAD_CAUSE_EXPLICIT;
	/* What it froze or unfroze itself since is to stay so, before anybody has looked, too. */
	if (gc && cause == GCPRELOAD_CAUSE_EXPLICIT && !application_froze && !application_unfroze)
		opened = freezer_unfreeze(gc);
	py_drop(gc);
	return cause;
}

bool freezer_at_stop(void)
{
	PyObject *gc;

	if (!opens || !opened || !py_in_main_interpreter())
		return false;
	opened = false;
	gc = module_gc();
	if (!gc || !opens || !freezer_call(gc, "freeze")) {
		py_drop(gc);
		return false;
	}
	py_drop(gc);
	return true;
}

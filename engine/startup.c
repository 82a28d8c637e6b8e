/* SPDX-License-Identifier: MIT */
#include "engine/startup.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "engine/freezer.h"
#include "engine/pacer.h"
#include "engine/process.h"
#include "engine/referrers.h"
#include "engine/tuner.h"
#include "inject/module.h"
#include "inject/observer.h"
#include "rules/recipe.h"

#define LOOK_EVERY_NS 250000000ull /* a look at the memory is a dozen system calls */
/* A child of a pre-forking server shares what its parent froze. Unfrozen in the child, those
 * pages are written, and are its own: not for more than a bare server. */
#define SHARED_AT_MOST 100000

static struct pacer_startup start;
static bool empties;
static bool holding; /* something was frozen for this */
static uint64_t looked_ns;

static void give_back(PyObject *gc)
{
	if (holding)
		freezer_unfreeze(gc);
	holding = false;
}

static void set_empties(bool yes)
{
	empties = yes;
	observer_ask_at_start(ENGINE_STARTUP, yes);
}

bool startup_empties(void)
{
	return empties;
}

void startup_end(PyObject *gc)
{
	if (empties)
		give_back(gc);
	set_empties(false);
}

/* Both tune the collector: the application's own word. It wants all of it frozen, or all unfrozen.
 */
static void application_freezes(void)
{
	set_empties(false);
}

static PyCFunction real_disable;

/* The table is of all interpreters. */
static PyObject *application_disables(PyObject *self, PyObject *unused)
{
	if (py_in_main_interpreter())
		startup_end(self);
	return real_disable(self, unused);
}

static bool intercept_application(void)
{
	PyObject *gc = module_gc();
	bool ok = gc && freezer_intercept(gc) &&
		  module_replace(gc, "gc", "disable", application_disables, &real_disable);

	freezer_on_application(application_freezes);
	py_drop(gc);
	return ok;
}

void startup_begin(void)
{
	struct machine machine;

	set_empties(false);
	if (settings->startup_gc || process.mode < GCPRELOAD_MODE_FREEZE ||
	    recipe_for(&python_version) != RECIPE_FREEZE || tuner_frozen() > SHARED_AT_MOST)
		return;
	if (!intercept_application())
		return;
	machine_look(&machine);
	looked_ns = gcpreload_now_ns();
	pacer_startup_begin(&start, looked_ns, &machine);
	process.start_was_emptied = true;
	set_empties(true);
}

void startup_at_start(enum gcpreload_cause cause)
{
	PyObject *gc = module_gc();

	if (!gc)
		return;
	if (cause == GCPRELOAD_CAUSE_AUTOMATIC) {
		freezer_freeze(gc);
		referrers_show(gc);
		holding = true;
	} else {
		give_back(gc);
	}
	py_drop(gc);
}

void startup_tick(uint64_t now_ns)
{
	struct machine machine;
	const char *over;
	PyObject *gc;

	/* In a child's first tick the collection has ended before all began. */
	if (!empties || now_ns < looked_ns + LOOK_EVERY_NS)
		return;
	looked_ns = now_ns;
	machine_look(&machine);
	over = pacer_startup_over(&start, now_ns, &machine);
	gc = over ? module_gc() : NULL;
	if (!gc)
		return;
	startup_end(gc);
	py_drop(gc);
	process_text(reason, over);
	process_update();
	gcpreload_log(GCPRELOAD_LOG_INFO, "%s", over);
}

/* SPDX-License-Identifier: MIT */
#include "engine/tuner.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "engine/collector.h"
#include "engine/freed.h"
#include "engine/freezer.h"
#include "engine/marker.h"
#include "engine/process.h"
#include "engine/referrers.h"
#include "engine/refreeze.h"
#include "inject/module.h"
#include "inject/observer.h"
#include "rules/forked.h"
#include "rules/recipe.h"

#define IMMORTALS_AT_MOST 2000
#define OFF_FOR_GOOD_NS	  5000000000ull

/* Of this process and its ancestors: fork() copies the collector too. */
static int32_t interpreters_own[GCPRELOAD_GENERATIONS];
static int32_t set_by_us[GCPRELOAD_GENERATIONS];
static int32_t before_us[GCPRELOAD_GENERATIONS];
static bool thresholds_are_ours, frozen_by_us, at_exit_registered;
static bool intercepted;       /* the application's gc.freeze() would be noticed */
static int64_t frozen_at_most; /* by us and the interpreter: more is the application's */
static int64_t frozen_by_interpreter;
static uint64_t fulls_at_freeze;

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

void tuner_doubt_defaults(void)
{
	recipe_own_thresholds(&python_version, interpreters_own);
	if (frozen_at_most > IMMORTALS_AT_MOST)
		frozen_at_most = frozen_by_interpreter = 0;
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
	if (intercepted)
		return freezer_application_froze();
	return collector_ask(gc, "get_freeze_count") > frozen_at_most + IMMORTALS_AT_MOST;
}

static const char froze_itself[] = "the application froze objects itself";

/* Stays until the next call. */
static const char *whose_thresholds(const int32_t now[GCPRELOAD_GENERATIONS])
{
	static char told[128];

	snprintf(told, sizeof told, "the application %s: gc.set_threshold(%d, %d, %d)",
		 thresholds_are_ours ? "changed gc thresholds after us"
				     : "set its own gc thresholds",
		 now[0], now[1], now[2]);
	return told;
}

static const char *look_at_application(PyObject *gc, bool *passing)
{
	const int32_t *expected = thresholds_are_ours ? set_by_us : interpreters_own;
	int32_t now[GCPRELOAD_GENERATIONS];

	*passing = true;
	if (collector_ask(gc, "isenabled") != 1)
		return "the application disabled gc";
	if (collector_ask(gc, "get_debug") != 0)
		return "the application set gc debug flags";
	*passing = false;
	if (!collector_thresholds(gc, now))
		return "gc.get_threshold() cannot be read";
	memcpy(process.status.thresholds, now, sizeof now);
	if (memcmp(now, expected, sizeof now) != 0)
		return whose_thresholds(now);
	if (intercepted && freezer_application_froze())
		return froze_itself;
	return NULL;
}

static void nothing_is_frozen(void)
{
	frozen_by_us = process.froze = false;
	freezer_open_for_full(false);
	frozen_at_most = frozen_by_interpreter;
	if (process.status.frozen_objects >= 0)
		process.status.frozen_objects = 0;
}

static enum tuner_may judge_application(const char *why, bool passing)
{
	uint64_t now;

	if (!why || settings->force || !passing) {
		process.off_since_ns = 0;
		return why && !settings->force ? TUNER_NEVER : TUNER_MAY;
	}
	now = gcpreload_now_ns();
	if (!process.off_since_ns)
		process.off_since_ns = now;
	return gcpreload_elapsed(process.off_since_ns, now) >= OFF_FOR_GOOD_NS ? TUNER_NEVER
									       : TUNER_NOT_NOW;
}

/* For a look now and then: gc.get_freeze_count() walks all that is frozen, so it is not asked. */
static enum tuner_may tuner_may_still(PyObject *gc, const char **why)
{
	bool passing;

	if (frozen_by_us && freezer_application_unfroze())
		nothing_is_frozen();
	*why = look_at_application(gc, &passing);
	return judge_application(*why, passing);
}

static enum tuner_may tuner_may(PyObject *gc, const char **why)
{
	enum tuner_may may = tuner_may_still(gc, why);

	if (may != TUNER_MAY || settings->force || !frozen_by_others(gc))
		return may;
	*why = froze_itself;
	return TUNER_NEVER;
}

static void give_thresholds_back(PyObject *gc)
{
	int32_t now[GCPRELOAD_GENERATIONS];
	int i;

	if (!thresholds_are_ours || !collector_thresholds(gc, now))
		return;
	for (i = 0; i < GCPRELOAD_GENERATIONS; i++)
		if (now[i] == set_by_us[i])
			now[i] = before_us[i];
	if (collector_set_thresholds(gc, now))
		thresholds_are_ours = false;
	tuner_thresholds(process.status.thresholds, process.status.thresholds_before);
	memcpy(process.status.thresholds, now, sizeof now);
}

static void give_frozen_back(PyObject *gc)
{
	if (!frozen_by_us || frozen_by_others(gc))
		return;
	freezer_unfreeze(gc);
	nothing_is_frozen();
}

void tuner_begin_process(PyObject *gc)
{
	give_thresholds_back(gc);
}

/* Leaves the collector alone for good. Nothing of ours stays in it: thresholds that are still those
 * we set go back, and what we froze is unfrozen. */
static void tuner_stand_back(PyObject *gc, const char *reason)
{
	process.status.state = GCPRELOAD_STATE_STANDING_BACK;
	process.status.due_ns = 0;
	process_is_left_alone();
	give_thresholds_back(gc);
	give_frozen_back(gc);
	process_text(reason, reason);
	/* It serves, with a collector that is not ours. */
	process.status.period = GCPRELOAD_PERIOD_BASELINE;
	gcpreload_log(GCPRELOAD_LOG_INFO, "standing back: %s", reason);
}

enum tuner_may tuner_consent(PyObject *gc, bool first)
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

bool tuner_still_ours(PyObject *gc)
{
	enum tuner_may may;
	const char *word;

	if (process.status.state != GCPRELOAD_STATE_READY)
		return false;
	may = tuner_may_still(gc, &word);
	if (may == TUNER_NEVER) {
		tuner_stand_back(gc, word);
		process_update();
	}
	return may == TUNER_MAY;
}

static PyObject *unfreeze_at_exit(PyObject *self, PyObject *unused)
{
	PyObject *gc = module_gc();

	(void)self;
	(void)unused;
	/* Whoever would inherit the marker knows nothing of it. */
	marker_end(true);
	freed_end();
	store_relaxed(&process.tuned, false);
	if (gc && process.froze)
		freezer_unfreeze(gc);
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
 * a frozen cycle would never be flushed. What a child inherited frozen stays so: unfrozen, those
 * pages would become its own, in all workers at each stop (measured, 454 -> 1 209 MB). Registered
 * only now, so that a process that never becomes ready has nothing of ours on atexit. */
static bool prepare_exit(void)
{
	if (!at_exit_registered)
		at_exit_registered = collector_at_exit(&unfreeze_def);
	return at_exit_registered;
}

/* Each begins the counts of gc.get_count() anew, and comes when a quarter is new. */
uint64_t tuner_full_collections(void)
{
	struct gcpreload_totals totals[GCPRELOAD_GENERATIONS];

	gcpreload_ring_totals(totals);
	return totals[GCPRELOAD_GENERATIONS - 1].collections;
}

static void note_frozen(PyObject *gc)
{
	fulls_at_freeze = tuner_full_collections();
	frozen_at_most = collector_ask(gc, "get_freeze_count");
	process.status.frozen_objects = frozen_at_most;
}

static bool freeze_heap(PyObject *gc)
{
	if (!freezer_freeze(gc))
		return false;
	intercepted = freezer_intercept(gc);
	referrers_show(gc);
	frozen_by_us = process.froze = true;
	freezer_open_for_full(true);
	note_frozen(gc);
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
		if (settings->thresholds[i] != GCPRELOAD_KEEP)
			wanted[i] = settings->thresholds[i];
	/* Read back: the incremental collector of 3.14.0-3.14.4 keeps only two of them. */
	if (!collector_set_thresholds(gc, wanted) || !collector_thresholds(gc, set_by_us))
		return false;
	thresholds_are_ours = true;
	tuner_thresholds(process.status.thresholds, process.status.thresholds_before);
	return true;
}

bool tuner_set_thresholds(PyObject *gc, const int32_t wanted[GCPRELOAD_GENERATIONS])
{
	if (!thresholds_are_ours || !collector_set_thresholds(gc, wanted) ||
	    !collector_thresholds(gc, set_by_us))
		return false;
	tuner_thresholds(process.status.thresholds, process.status.thresholds_before);
	return true;
}

/* A worker that was forked from a frozen heap has little of its own to freeze, and what it does not
 * freeze need not be unfrozen at its exit. */
static bool freeze_what_is_new(PyObject *gc)
{
	if (frozen_by_us && !process.froze &&
	    referrers_count_unfrozen(gc, -1) < frozen_at_most / 4) {
		process.status.frozen_objects = collector_ask(gc, "get_freeze_count");
		return true;
	}
	return freeze_heap(gc);
}

const char *tuner_limits(void)
{
	static const struct {
		const char *module, *text;
	} blind[] = {
		{ "objgraph", "gc.get_objects() and objgraph do not show frozen objects" },
		{ "pympler", "gc.get_objects() and pympler do not show frozen objects" },
		{ "guppy", "gc.get_objects() and guppy do not show frozen objects" },
	};
	size_t i;

	if (py_has_subinterpreters())
		return "only the main interpreter is tuned, not the sub-interpreters";
	if (!observer_marks_explicit())
		return "gc.collect() is counted as automatic: the functions of gc cannot be "
		       "replaced";
	for (i = 0; i < sizeof blind / sizeof *blind && !referrers_shown(); i++)
		if (module_loaded(blind[i].module))
			return blind[i].text;
	if (process.attached)
		return "nothing is done at its waits and forks, which are not seen";
	return process.status.sample == GCPRELOAD_SAMPLE_TUNED ? process.sampled : "";
}

/* What a worker inherited that nobody froze is frozen as it is, and belongs to its ancestor. */
static int generations_of_its_own(void)
{
	struct forked forked = { .is_child = process.is_child,
				 .parent_froze = frozen_by_us,
				 .start_was_emptied = process.start_was_emptied,
				 .full_since = tuner_full_collections() - process.full_at_fork,
				 .resident_at_fork = process.resident_at_fork };
	struct growth now;

	machine_growth(&now);
	forked.resident = now.resident;
	return forked_generation(&forked);
}

/* Returns whether all of it is done. */
static bool collect_and_freeze(PyObject *gc, struct tuner_done *done)
{
	uint64_t began = gcpreload_thread_cpu_ns();
	int oldest = generations_of_its_own();

	done->garbage = prepare_exit() ? collector_collect(gc, oldest, GCPRELOAD_CAUSE_READY) : -1;
	done->took_ns = gcpreload_elapsed(began, gcpreload_thread_cpu_ns());
	done->collected = true;
	if (done->garbage < 0 || !freeze_what_is_new(gc))
		return false;
	if (oldest < GCPRELOAD_GENERATIONS - 1) {
		process.inherits_heap = true;
		process.inherited_frozen = frozen_at_most;
	}
	return true;
}

/* Larger thresholds make the increments longer and let more garbage wait (measured on 3.14.3: p99
 * of pauses twice as long, a quarter more memory, for at most a third less time in collections). */
static void keep_increments(void)
{
	process.status.state = GCPRELOAD_STATE_OBSERVING;
	process.status.period = GCPRELOAD_PERIOD_BASELINE;
	process.status.due_ns = 0;
	process_text(reason,
		     "the incremental collector is left as it is, but frozen before a fork");
}

struct tuner_done tuner_tune(PyObject *gc)
{
	enum recipe recipe = recipe_for(&python_version);
	const char *refuses = recipe_refuses(&python_version);
	struct tuner_done done = { .tuned = false };

	if (refuses) {
		tuner_stand_back(gc, refuses);
		return done;
	}
	if (recipe == RECIPE_PREFORK) {
		keep_increments();
		return done;
	}
	/* Our own collection is not charged to the interpreter's. */
	process.status.period = GCPRELOAD_PERIOD_TUNED;
	process_update();
	if (recipe == RECIPE_FREEZE && !collect_and_freeze(gc, &done)) {
		tuner_stand_back(gc, "gc.collect or gc.freeze failed");
		return done;
	}
	if (!raise_thresholds(gc)) {
		tuner_stand_back(gc, "gc.set_threshold failed");
		return done;
	}
	process.status.state = GCPRELOAD_STATE_READY;
	process.status.due_ns = 0;
	process_text(reason, tuner_limits());
	done.tuned = true;
	return done;
}

int64_t tuner_collect_all(PyObject *gc, enum gcpreload_cause cause, bool freeze_all)
{
	struct refreeze refreeze;
	int64_t left = 0;
	bool noted;

	if (!process.froze || process.inherits_heap || frozen_by_others(gc))
		return -1;
	noted = !freeze_all && !refreeze_note(&refreeze, referrers_layout());
	freezer_unfreeze(gc);
	collector_collect(gc, 2, cause);
	if (!freeze_heap(gc))
		return -1;
	if (noted) {
		left = refreeze_rest(&refreeze, gc);
		note_frozen(gc);
	}
	return left > 0 ? left : 0;
}

void tuner_freeze_before_fork(PyObject *gc)
{
	int64_t frozen = process.status.frozen_objects;

	if (recipe_refuses(&python_version))
		return;
	/* A master that starts a worker anew has little to add: not each time. */
	if (frozen > 0 && tuner_full_collections() == fulls_at_freeze &&
	    collector_allocated(gc) < frozen / 4)
		return;
	if (!prepare_exit() || collector_collect(gc, 2, GCPRELOAD_CAUSE_PREFORK) < 0 ||
	    !freeze_heap(gc)) {
		tuner_stand_back(gc, "gc.collect or gc.freeze failed");
		return;
	}
	if (process.status.state == GCPRELOAD_STATE_STARTING)
		process.status.state = GCPRELOAD_STATE_PARENT;
	gcpreload_log(GCPRELOAD_LOG_INFO, "%s: %lld objects frozen before the fork",
		      process.status.fired, (long long)process.status.frozen_objects);
}

void tuner_thaw(PyObject *gc)
{
	if (process.job) /* what the worker froze stays, and stays shared */
		return;
	give_thresholds_back(gc);
	give_frozen_back(gc);
	process_is_left_alone();
	process.status.period = GCPRELOAD_PERIOD_BASELINE;
	process.status.due_ns = 0;
}

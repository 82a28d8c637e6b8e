/* SPDX-License-Identifier: MIT */
#include "engine/concurrent.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/self.h"
#include "base/shared.h"
#include "engine/collector.h"
#include "engine/engine.h"
#include "engine/freezer.h"
#include "engine/growth.h"
#include "engine/marker.h"
#include "engine/marking.h"
#include "engine/process.h"
#include "engine/tiers.h"
#include "engine/tuner.h"
#include "inject/module.h"
#include "inject/observer.h"

#define MEMORY_EVERY_NS 20000000ull /* four system calls */
#define MILLION		1e6
/* Near the limit, the interpreter would have collected all by then. */
#define NEAR_FACTOR 1.1
#define NEAR_BYTES  (16ull << 20)

/* Of what there was when no garbage was: a marker that hangs, is stopped or gets no processor must
 * not cost the program its memory. */
#define MARK_FACTOR 2
#define MARK_BYTES  (64ull << 20)

static const char near_limit[] = "near the memory limit: no marks, and the interpreter's own "
				 "thresholds";

static struct {
	bool on; /* shared */
	struct tiers tiers;
	enum tiers_wait due;
	uint64_t young, swept; /* given to the collection that runs */
	uint64_t cpu_ns;       /* of its thread, when it began */
	struct growth base;    /* what there was when no garbage was */
	struct growth now;     /* by the last look */
	uint64_t looked_ns;
	bool mark_due; /* at a wait, after what is young was collected */
	uint32_t mark_why;
	bool full_due; /* no mark can be, and memory has grown */
} concurrent;

bool concurrent_is_on(void)
{
	return load_relaxed(&concurrent.on);
}

static void apply_thresholds(PyObject *gc)
{
	const struct tiers *tiers = &concurrent.tiers;
	int32_t wanted[GCPRELOAD_GENERATIONS] = { tiers->threshold0, tiers->threshold1,
						  tiers->limits.own[2] };

	if (memcmp(process.status.thresholds, wanted, sizeof wanted) != 0)
		tuner_set_thresholds(gc, wanted);
}

const char *concurrent_begin(PyObject *gc, uint64_t ready_ns)
{
	struct tiers_limits limits = { .pause_ns = settings->pause_ns,
				       .growth = settings->growth / MILLION };
	int64_t frozen = process.status.frozen_objects;
	const char *why;

	if (concurrent.on)
		marking_over();
	why = marking_find(gc);
	if (why)
		return why;
	memcpy(limits.own, process.status.thresholds_before, sizeof limits.own);
	tiers_begin(&concurrent.tiers, &limits, frozen > 0 ? (uint64_t)frozen : 0, ready_ns);
	machine_growth(&concurrent.base);
	concurrent.full_due = false;
	store_relaxed(&concurrent.on, true);
	observer_ask_at_start(ENGINE_CONCURRENT, true);
	apply_thresholds(gc);
	process_is_tuned(true);
	return NULL;
}

static void leave_mode(void)
{
	store_relaxed(&concurrent.on, false);
	observer_ask_at_start(ENGINE_CONCURRENT, false);
}

void concurrent_forget(void)
{
	if (concurrent.on) {
		leave_mode();
		marking_forget();
	}
}

/* What we did is not in force any more: thawed, another mode, standing back, or the end. A marker
 * takes a while to end, and nobody else would reap it. */
static bool is_over(void)
{
	if (process.tuned && process.mode == GCPRELOAD_MODE_CONCURRENT)
		return false;
	marking_over();
	if (marker_gone())
		leave_mode();
	return true;
}

void concurrent_subinterpreter(void)
{
	if (concurrent.on)
		marking_stop();
}

/* If it does not, after all, the mark came to nothing. */
void concurrent_exec(void)
{
	if (!concurrent.on || !load_relaxed(&gcpreload_self->inject))
		return;
	marking_end();
	if (concurrent.tiers.out)
		tiers_mark_fails(&concurrent.tiers, gcpreload_now_ns());
}

/* ---- memory ---- */

/* A mark that was just swept says what is no garbage. */
static void note_base(void)
{
	if (!concurrent.tiers.out && concurrent.tiers.resident != concurrent.base.resident) {
		concurrent.base = concurrent.now;
		concurrent.base.resident = concurrent.tiers.resident;
	}
}

/* Where no mark can be, what the interpreter would have freed by now is freed as it would. */
static bool full_is_due(void)
{
	const struct tiers *tiers = &concurrent.tiers;
	double most = NEAR_FACTOR * (double)concurrent.base.resident + (double)NEAR_BYTES;

	return tiers->failures && (growth_is_due(&concurrent.base, &concurrent.now) ||
				   (tiers->near && (double)concurrent.now.resident > most));
}

static void begin_mark(PyObject *gc, uint64_t now_ns, uint32_t why)
{
	struct tiers *tiers = &concurrent.tiers;
	bool near = tiers->near;

	marking_begin(gc, tiers, now_ns, &concurrent.now, why);
	if (tiers->out)
		concurrent.base = concurrent.now;
	if (tiers->near != near)
		process_text(reason, near ? tuner_limits() : near_limit);
	/* What is frozen is out of the sight of the interpreter's own way. */
	if (tiers->near && !near)
		concurrent.full_due = true;
}

static bool mark_costs_too_much(void)
{
	return concurrent.tiers.out && !concurrent.tiers.left &&
	       concurrent.now.resident > MARK_FACTOR * concurrent.base.resident + MARK_BYTES;
}

static void give_mark_up(uint64_t now_ns, const char *why)
{
	marking_give_up(&concurrent.tiers, now_ns, why);
	concurrent.full_due = true;
}

/* Whether a mark should begin; *why says for what. */
static bool look_at_memory(uint64_t now_ns, uint32_t *why)
{
	struct tiers *tiers = &concurrent.tiers;
	bool files;

	if (tiers->limits.growth > 0 &&
	    gcpreload_elapsed(concurrent.looked_ns, now_ns) < MEMORY_EVERY_NS)
		return false;
	concurrent.looked_ns = now_ns;
	machine_growth(&concurrent.now);
	note_base();
	if (mark_costs_too_much())
		give_mark_up(now_ns, "memory grows faster than it gets on");
	if (full_is_due())
		concurrent.full_due = true;
	files = growth_files_are_due(&concurrent.base, &concurrent.now);
	if (tiers_memory(tiers, now_ns, concurrent.now.resident, files, why))
		return true;
	if (!marking_mind_limits(tiers, now_ns))
		give_mark_up(now_ns, "the memory limit is near");
	return false;
}

/* Of what is frozen, too: all that the interpreter itself would have looked at by now. */
static void collect_all(PyObject *gc)
{
	concurrent.full_due = false;
	process.status.idle.guard_trips++;
	if (!tuner_collect_all(gc, GCPRELOAD_CAUSE_GUARD))
		collector_collect(gc, 2, GCPRELOAD_CAUSE_GUARD);
}

void concurrent_act(PyObject *gc)
{
	if (concurrent.on && !is_over() && concurrent.full_due && tuner_still_ours(gc))
		collect_all(gc);
}

/* ---- collections ---- */

/* The thread's own time: what else the machine does is no cost of ours. */
static uint64_t thread_cpu_ns(void)
{
	return gcpreload_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* What would take too long is not looked at, but frozen as it is. */
static bool freeze_overflow(PyObject *gc, uint64_t most)
{
	concurrent.young = marking_count_young(most);
	if (concurrent.young < most || !freezer_freeze(gc))
		return false;
	tiers_overflows(&concurrent.tiers, concurrent.young);
	process.status.marks.promotions++;
	concurrent.young = 0;
	return true;
}

void concurrent_at_start(unsigned generation, enum gcpreload_cause cause)
{
	PyObject *gc;

	if (is_over())
		return;
	concurrent.cpu_ns = thread_cpu_ns();
	if (cause != GCPRELOAD_CAUSE_AUTOMATIC || generation == GCPRELOAD_GENERATIONS - 1)
		return;
	gc = module_gc();
	concurrent.swept = 0;
	if (gc && !freeze_overflow(gc, tiers_most(&concurrent.tiers, (int)generation)))
		concurrent.swept =
		    marking_slice(&concurrent.tiers, tiers_slice(&concurrent.tiers),
				  tiers_oversize(&concurrent.tiers, gcpreload_now_ns()));
	py_drop(gc);
}

static void tell_step(const struct gcpreload_event *event)
{
	struct gcpreload_marks *all = &process.status.marks;

	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC && event->duration_ns > all->longest_ns)
		all->longest_ns = event->duration_ns;
}

/* Memory runs ahead of the marker: a pause instead of a collection, while it catches up. */
static void hold_back(void)
{
	struct timespec pause = { (time_t)(settings->pause_ns / 1000000000u),
				  (long)(settings->pause_ns % 1000000000u) };

	if (tiers_holds_back(&concurrent.tiers))
		nanosleep(&pause, NULL);
}

static void young_has_ended(PyObject *gc, const struct gcpreload_event *event)
{
	uint64_t now = event->start_ns + event->duration_ns;
	uint64_t cpu_ns = gcpreload_elapsed(concurrent.cpu_ns, thread_cpu_ns());
	uint32_t why;

	tell_step(event);
	if (event->cause != GCPRELOAD_CAUSE_AUTOMATIC && event->generation)
		tiers_waited(&concurrent.tiers, concurrent.young, event->collected);
	if (tiers_collected(&concurrent.tiers, now, event->generation, concurrent.young,
			    concurrent.swept, event->collected, cpu_ns) &&
	    freezer_freeze(gc))
		process.status.marks.promotions++;
	marking_look(&concurrent.tiers, now);
	if (look_at_memory(now, &why))
		begin_mark(gc, now, why);
	apply_thresholds(gc);
	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC)
		hold_back();
	if (concurrent.full_due)
		gcpreload_engine_soon();
}

/* Also of the application's own, while it keeps the collector off: a mark that is out would stay
 * so until it comes back, or for good. */
static void full_has_ended(uint64_t now)
{
	marking_over();
	machine_growth(&concurrent.now);
	concurrent.base = concurrent.now;
	tiers_all_collected(&concurrent.tiers, now, concurrent.now.resident);
}

static bool is_of_the_tiers(const struct gcpreload_event *event)
{
	return event->generation < GCPRELOAD_GENERATIONS - 1 &&
	       (event->cause == GCPRELOAD_CAUSE_AUTOMATIC || event->cause == GCPRELOAD_CAUSE_IDLE ||
		event->cause == GCPRELOAD_CAUSE_IDLE_BUSY);
}

void concurrent_at_stop(const struct gcpreload_event *event)
{
	bool full = event->generation == GCPRELOAD_GENERATIONS - 1;
	PyObject *gc;

	if (is_over())
		return;
	if (full)
		full_has_ended(event->start_ns + event->duration_ns);
	gc = module_gc();
	if (gc && tuner_still_ours(gc)) {
		if (full)
			apply_thresholds(gc);
		else if (is_of_the_tiers(event))
			young_has_ended(gc, event);
	} else {
		is_over();
	}
	py_drop(gc);
}

/* ---- waits ---- */

bool concurrent_is_due(PyObject *gc, uint64_t now_ns)
{
	int64_t counts[GCPRELOAD_GENERATIONS];

	if (is_over() || !collector_counts(gc, counts))
		return false;
	marking_look(&concurrent.tiers, now_ns);
	concurrent.due = tiers_at_wait(&concurrent.tiers, now_ns, counts[0]);
	if (look_at_memory(now_ns, &concurrent.mark_why))
		concurrent.mark_due = true;
	apply_thresholds(gc);
	return concurrent.full_due || concurrent.mark_due || concurrent.due != TIERS_NOTHING;
}

static void collect_due_at_wait(PyObject *gc)
{
	bool young = concurrent.due == TIERS_SWEEP ||
		     freeze_overflow(gc, tiers_wait_most(&concurrent.tiers));

	concurrent.swept =
	    young ? marking_slice(&concurrent.tiers, tiers_wait_slice(&concurrent.tiers), true) : 0;
	collector_collect(gc, young ? 0 : 1, GCPRELOAD_CAUSE_IDLE);
}

void concurrent_collect(PyObject *gc)
{
	if (concurrent.full_due) {
		collect_all(gc);
	} else {
		collect_due_at_wait(gc);
		if (concurrent.mark_due && !concurrent.tiers.out)
			begin_mark(gc, gcpreload_now_ns(), concurrent.mark_why);
		concurrent.mark_due = false;
		apply_thresholds(gc);
	}
	process_update();
}

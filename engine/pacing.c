/* SPDX-License-Identifier: MIT */
#include "engine/pacing.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/self.h"
#include "base/shared.h"
#include "engine/collector.h"
#include "engine/engine.h"
#include "engine/freezer.h"
#include "engine/guard.h"
#include "engine/marker.h"
#include "engine/marking.h"
#include "engine/memory.h"
#include "engine/process.h"
#include "engine/referrers.h"
#include "engine/tuner.h"
#include "inject/module.h"
#include "inject/observer.h"

#define RECIPES_OWN  50000 /* GCPRELOAD_THRESHOLDS as it is by default */
#define MILLION	     1e6
#define IDLES_GROWTH .3
#define RECOUNT_NS   10000000000ull
#define UNREACHED_NS 1000000000ull /* so long the guard waits for a server's wait */
#define OLDEST	     (GCPRELOAD_GENERATIONS - 1)

struct pacing pacing;

/* ---- thresholds, and what is told ---- */

static void apply_thresholds(PyObject *gc)
{
	const struct tiers *tiers = &pacing.tiers;
	int32_t wanted[GCPRELOAD_GENERATIONS] = { tiers->threshold0, tiers->threshold1,
						  tiers->threshold2 };

	if (!pacing.on) {
		memcpy(wanted, process.status.thresholds, sizeof wanted);
		if (settings->thresholds[0] != GCPRELOAD_KEEP)
			wanted[0] = guard_state.unguarded ? pacing.pacer.limits.least
							  : pacing.pacer.threshold0;
	}
	if (memcmp(process.status.thresholds, wanted, sizeof wanted) != 0)
		tuner_set_thresholds(gc, wanted);
}

/* What is worth a word in the status, or what of the program is not as it would like. */
static const char *pacing_word(void)
{
	const struct tiers *tiers = &pacing.tiers;

	if (pacing.on && tiers->near)
		return "near the memory limit: using the interpreter's own thresholds";
	if (guard_state.unguarded)
		return "memory grows, and no moment to collect: using the interpreter's own "
		       "thresholds";
	if (pacing.on && tiers->unreached)
		return reach_word(&pacing.reach);
	if (pacing.on && tiers->too_long)
		return "longer than GCPRELOAD_BUDGET_MS at a wait: using the interpreter's own "
		       "thresholds";
	return process.fallback;
}

void pacing_settle(PyObject *gc)
{
	if (process.status.state != GCPRELOAD_STATE_READY)
		return;
	if (pacing.on)
		tiers_out_of_reach(&pacing.tiers, load_relaxed(&pacing.reach.lost),
				   guard_state.unguarded);
	apply_thresholds(gc);
	process.status.idle.guard = guard_state.why;
	pacing.word = pacing_word();
	process_text(reason, pacing.word ? pacing.word : tuner_limits());
	process_update();
}

/* The same, where it has changed. */
static void settle_changes(PyObject *gc)
{
	tiers_out_of_reach(&pacing.tiers, load_relaxed(&pacing.reach.lost), guard_state.unguarded);
	apply_thresholds(gc);
	if (pacing.word != pacing_word() || process.status.idle.guard != guard_state.why)
		pacing_settle(gc);
}

/* ---- beginning and end ---- */

static void begin_freeze(uint64_t frozen, uint64_t ready_ns)
{
	struct pacer_limits limits = {
		.young_ns = settings->young_ns,
		.least = process.status.thresholds_before[0],
		.top = process.status.thresholds[0],
		.asked = settings->thresholds[0] != RECIPES_OWN,
	};

	pacer_begin(&pacing.pacer, &limits, frozen, ready_ns);
}

/* Those that the settings ask for stay in mode idle. */
static void note_given_thresholds(struct tiers_limits *limits)
{
	const int32_t *asked = settings->thresholds;
	int i;

	for (i = 0; i < GCPRELOAD_GENERATIONS; i++) {
		if (asked[0] == GCPRELOAD_KEEP)
			limits->given[i] = process.status.thresholds[i];
		else if (asked[i] != (i ? GCPRELOAD_KEEP : RECIPES_OWN))
			limits->given[i] = asked[i];
	}
}

static void begin_tiers(uint64_t now_ns, uint64_t frozen, uint64_t ready_ns)
{
	struct tiers_limits limits = {
		.pause_ns = settings->pause_ns,
		.budget_ns = settings->budget_ns,
		.growth = pacing.marks ? settings->growth / MILLION : IDLES_GROWTH,
		.marks = pacing.marks,
	};

	memcpy(limits.own, process.status.thresholds_before, sizeof limits.own);
	if (!pacing.marks)
		note_given_thresholds(&limits);
	tiers_begin(&pacing.tiers, &limits, frozen, ready_ns);
	reach_begin(&pacing.reach, now_ns);
	memory_begin();
	pacing.recount_ns = 0;
}

static void ask_for_hooks(void)
{
	observer_ask_at_start(ENGINE_PACING, pacing.on || pacing.ending);
}

/* A marker takes a while to end, and nobody else would reap it. */
static void mind_ending(void)
{
	if (pacing.ending && marker_gone()) {
		pacing.ending = false;
		ask_for_hooks();
	}
}

static void leave_mode(void)
{
	if (pacing.marks) {
		marking_over();
		pacing.ending = true;
	}
	pacing.on = false;
	store_relaxed(&pacing.marks, false);
	ask_for_hooks();
	mind_ending();
}

const char *pacing_begin(PyObject *gc, uint64_t ready_ns)
{
	bool marks = process.mode == GCPRELOAD_MODE_CONCURRENT;
	bool idle = process.mode == GCPRELOAD_MODE_IDLE && process.status.frozen_objects >= 0;
	int64_t frozen = process.status.frozen_objects;
	const char *why;

	leave_mode();
	why = marks ? marking_find(gc) : NULL;
	if (why)
		return why;
	pacing.counts = marks || (idle && marking_can_count(gc));
	pacing.on = marks || idle;
	store_relaxed(&pacing.marks, marks);
	frozen = frozen > 0 ? frozen : 0;
	if (pacing.on)
		begin_tiers(gcpreload_now_ns(), (uint64_t)frozen, ready_ns);
	else
		begin_freeze((uint64_t)frozen, ready_ns);
	guard_begin();
	ask_for_hooks();
	process_is_tuned(pacing.on);
	pacing_settle(gc);
	return NULL;
}

void pacing_forget(void)
{
	if (pacing.marks || pacing.ending)
		marking_forget();
	pacing.on = pacing.ending = false;
	store_relaxed(&pacing.marks, false);
	ask_for_hooks();
}

/* What we did is not in force any more: thawed, another mode, standing back, or the end. */
static bool is_over(void)
{
	mind_ending();
	if (!pacing.on)
		return true;
	if (process.tuned &&
	    process.mode == (pacing.marks ? GCPRELOAD_MODE_CONCURRENT : GCPRELOAD_MODE_IDLE))
		return false;
	leave_mode();
	return true;
}

void pacing_subinterpreter(void)
{
	if (pacing.marks)
		marking_stop();
}

/* If it does not, after all, the mark came to nothing. */
void pacing_exec(void)
{
	if (!load_relaxed(&pacing.marks) || !load_relaxed(&gcpreload_self->inject))
		return;
	marking_end();
	if (pacing.tiers.out)
		tiers_mark_fails(&pacing.tiers, gcpreload_now_ns());
}

/* ---- collections ---- */

/* Counts what is young; with marks, what would take too long is not looked at, but frozen as it is.
 */
static bool freeze_overflow(PyObject *gc, uint64_t most, uint64_t about)
{
	pacing.young = pacing.counts ? marking_count_young(most) : about;
	if (!pacing.marks || pacing.young < most || !freezer_freeze(gc))
		return false;
	tiers_overflows(&pacing.tiers, pacing.young);
	process.status.marks.promotions++;
	pacing.young = 0;
	return true;
}

void pacing_at_start(unsigned generation, enum gcpreload_cause cause)
{
	struct tiers *tiers = &pacing.tiers;
	PyObject *gc;

	if (is_over())
		return;
	pacing.cpu_ns = gcpreload_thread_cpu_ns();
	if (cause != GCPRELOAD_CAUSE_AUTOMATIC)
		return;
	pacing.young = pacing.swept = 0;
	gc = module_gc();
	if (gc &&
	    !freeze_overflow(gc, tiers_most(tiers, (int)generation), (uint64_t)tiers->threshold0) &&
	    pacing.marks)
		pacing.swept = marking_slice(tiers, tiers_slice(tiers),
					     !tiers_waits_come(tiers, gcpreload_now_ns()));
	py_drop(gc);
}

static void tell_step(const struct gcpreload_event *event)
{
	struct gcpreload_marks *all = &process.status.marks;

	if (pacing.marks && event->cause == GCPRELOAD_CAUSE_AUTOMATIC &&
	    event->duration_ns > all->longest_ns)
		all->longest_ns = event->duration_ns;
}

/* Memory runs ahead of the marker: a pause instead of a collection, while it catches up. */
static void hold_back(void)
{
	struct timespec pause = { (time_t)(settings->pause_ns / 1000000000u),
				  (long)(settings->pause_ns % 1000000000u) };

	if (tiers_holds_back(&pacing.tiers))
		nanosleep(&pause, NULL);
}

static void learn_of_collection(PyObject *gc, const struct gcpreload_event *event)
{
	struct tiers *tiers = &pacing.tiers;
	uint64_t now = event->start_ns + event->duration_ns;
	uint64_t cpu_ns = gcpreload_elapsed(pacing.cpu_ns, gcpreload_thread_cpu_ns());

	if (event->cause != GCPRELOAD_CAUSE_AUTOMATIC && event->generation)
		tiers_waited(tiers, pacing.young, event->collected);
	if (tiers_collected(tiers, now, event->generation, pacing.young, pacing.swept,
			    event->collected, cpu_ns) &&
	    freezer_freeze(gc))
		process.status.marks.promotions++;
}

/* When the next chance is worth a look at gc.get_count(). */
static void expect_next(uint64_t now_ns, int64_t count0)
{
	const struct tiers *tiers = &pacing.tiers;
	bool at_once = guard_state.full || tiers->full_due || tiers->left || pacing.mark_due;
	double due = ((double)tiers->wait_due - tiers->middle) / tiers->ratio;

	reach_seen(&pacing.reach, now_ns, count0);
	reach_expect(&pacing.reach, at_once ? 0 : (int64_t)due, memory_paused_until());
}

static void mind_waits(const struct gcpreload_event *event, uint64_t now_ns)
{
	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC)
		reach_seen(&pacing.reach, now_ns, pacing.tiers.threshold0);
	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC && !pacing.marks) {
		reach_automatic(&pacing.reach, now_ns, tiers_piles_up(&pacing.tiers));
		guard_automatic(now_ns);
	}
	expect_next(now_ns, 0);
}

/* The copy is the longest step there is: where waits come, one of these is the place. */
static void begin_or_wait(PyObject *gc, const struct gcpreload_event *event, uint64_t now_ns,
			  uint32_t why)
{
	pacing.mark_due =
	    event->cause == GCPRELOAD_CAUSE_AUTOMATIC && tiers_waits_come(&pacing.tiers, now_ns);
	pacing.mark_why = why;
	if (!pacing.mark_due)
		memory_mark(gc, &pacing.tiers, now_ns, why);
}

static void has_ended(PyObject *gc, const struct gcpreload_event *event)
{
	uint64_t now = event->start_ns + event->duration_ns;
	uint32_t why;

	tell_step(event);
	learn_of_collection(gc, event);
	if (!pacing.marks)
		mind_waits(event, now);
	if (pacing.marks)
		marking_look(&pacing.tiers, now);
	if (memory_look(&pacing.tiers, now, &why))
		begin_or_wait(gc, event, now, why);
	if (pacing.marks)
		mind_waits(event, now);
	settle_changes(gc);
	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC)
		hold_back();
}

/* What the application asks for looks at what was frozen, too. Also while it keeps the collector
 * off: a mark that is out would stay so until it comes back, or for good. */
static void full_has_ended(const struct gcpreload_event *event)
{
	uint64_t cpu_ns = gcpreload_elapsed(pacing.cpu_ns, gcpreload_thread_cpu_ns());
	uint64_t now = event->start_ns + event->duration_ns;

	if (pacing.marks)
		marking_over();
	else
		mind_waits(event, now);
	if (pacing.marks || event->cause == GCPRELOAD_CAUSE_EXPLICIT)
		memory_all_collected(&pacing.tiers, now);
	else
		memory_full(&pacing.tiers, now, pacing.young, event->collected, cpu_ns);
}

/* Of all there is: without what is frozen, an automatic one is of generation 1. */
static bool is_full(const struct gcpreload_event *event)
{
	return event->generation == OLDEST &&
	       !(pacing.marks && event->cause == GCPRELOAD_CAUSE_AUTOMATIC);
}

static bool is_of_the_tiers(const struct gcpreload_event *event)
{
	return event->cause == GCPRELOAD_CAUSE_AUTOMATIC || event->cause == GCPRELOAD_CAUSE_IDLE ||
	       event->cause == GCPRELOAD_CAUSE_IDLE_BUSY;
}

void pacing_at_stop(const struct gcpreload_event *event)
{
	bool full = is_full(event);
	PyObject *gc;

	if (is_over())
		return;
	if (full)
		full_has_ended(event);
	gc = module_gc();
	if (gc && tuner_still_ours(gc)) {
		if (full)
			settle_changes(gc);
		else if (is_of_the_tiers(event))
			has_ended(gc, event);
	} else {
		is_over();
	}
	py_drop(gc);
}

/* In a callback, with the GIL: settled here, since a main thread that blocks runs no pending call.
 */
static void settle_in_callback(void)
{
	PyObject *gc = py_in_main_interpreter() ? module_gc() : NULL;

	if (gc && tuner_still_ours(gc))
		pacing_settle(gc);
	py_drop(gc);
}

static void adapt_freeze(const struct gcpreload_event *event, uint64_t now_ns)
{
	struct pacer *pacer = &pacing.pacer;
	int32_t before = pacer->threshold0;
	bool unguarded = guard_state.unguarded;

	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC)
		guard_automatic(now_ns);
	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC && event->generation < OLDEST)
		pacer_automatic(pacer, event->duration_ns);
	if (guard_has_grown(now_ns))
		guard_ask(GCPRELOAD_GUARD_GROWTH, now_ns);
	if (pacer->threshold0 != before || guard_state.unguarded != unguarded)
		settle_in_callback();
}

void pacing_observed(const struct gcpreload_event *event, uint64_t now_ns)
{
	if (!process.tuned || process.status.state != GCPRELOAD_STATE_READY)
		return;
	if (!pacing.on)
		adapt_freeze(event, now_ns);
	if (event->generation == OLDEST && event->cause == GCPRELOAD_CAUSE_EXPLICIT)
		guard_begin_growth(NULL);
	if (guard_state.full && !load_relaxed(&process.guard_asked))
		store_relaxed(&process.guard_asked, gcpreload_engine_soon());
}

/* ---- the guard ---- */

void pacing_guard(PyObject *gc)
{
	int64_t left;

	pacing.young = 0; /* not counted */
	left = guard_collect(gc, pacing.marks);
	if (left < 0 || !pacing.on)
		return;
	memory_all_collected(&pacing.tiers, gcpreload_now_ns());
	tiers_recounted(&pacing.tiers,
			(uint64_t)(pacing.marks ? process.status.frozen_objects : left));
}

/* In the middle of a request, so only where no wait of the server's has come, or is waited for. */
void pacing_act(PyObject *gc)
{
	uint64_t now = gcpreload_now_ns();

	if (pacing.on || pacing.ending)
		is_over();
	if (!load_relaxed(&process.guard_asked))
		return;
	store_relaxed(&process.guard_asked, false);
	if (!process.tuned || !tuner_still_ours(gc))
		return;
	if (pacing.on && !pacing.marks)
		reach_lose(&pacing.reach, now);
	if (guard_state.full && (pacing.marks || (pacing.on && load_relaxed(&pacing.reach.lost)) ||
				 gcpreload_elapsed(guard_state.since_ns, now) > UNREACHED_NS))
		pacing_guard(gc);
	pacing_settle(gc);
}

/* ---- waits ---- */

static enum tiers_wait due_without_marks(PyObject *gc, uint64_t now_ns, int64_t count0)
{
	struct tiers *tiers = &pacing.tiers;
	enum tiers_wait due;

	reach_chance(&pacing.reach, now_ns);
	expect_next(now_ns, count0);
	due = tiers_at_wait(tiers, now_ns, count0);
	if (tiers->too_long && tiers->full_due &&
	    gcpreload_elapsed(pacing.recount_ns, now_ns) >= RECOUNT_NS) {
		pacing.recount_ns = now_ns;
		tiers_recounted(tiers, (uint64_t)referrers_count_unfrozen(gc, 2));
		due = tiers_at_wait(tiers, now_ns, count0);
	}
	return due;
}

/* What is told of it; false: it is not to be done. */
static bool tell_due(uint64_t now_ns)
{
	static const uint32_t generations[] = {
		[TIERS_MIDDLE] = 2,
		[TIERS_SWEEP] = 1,
		[TIERS_FULL] = 3,
		[TIERS_REFUSED] = 3,
	};
	struct gcpreload_idle *told = &process.status.idle;
	uint32_t before = told->due;
	bool is_due = pacing.due != TIERS_NOTHING && pacing.due != TIERS_REFUSED;
	bool paused = !pacing.marks && is_due && now_ns < memory_paused_until();

	told->due = generations[pacing.due];
	told->refused_budget += pacing.due == TIERS_REFUSED;
	told->refused_throttled += paused;
	if ((paused || !is_due) && told->due != before)
		process_update();
	return is_due && !paused;
}

bool pacing_is_due(PyObject *gc, uint64_t now_ns)
{
	int64_t counts[GCPRELOAD_GENERATIONS];
	bool due;

	if (is_over() || !collector_counts(gc, counts))
		return false;
	if (pacing.marks)
		marking_look(&pacing.tiers, now_ns);
	if (memory_look(&pacing.tiers, now_ns, &pacing.mark_why))
		pacing.mark_due = true;
	if (pacing.marks)
		expect_next(now_ns, counts[0]);
	tiers_note_count2(&pacing.tiers, counts[2]);
	pacing.due = pacing.marks ? tiers_at_wait(&pacing.tiers, now_ns, counts[0])
				  : due_without_marks(gc, now_ns, counts[0]);
	due = tell_due(now_ns);
	settle_changes(gc);
	return guard_state.full || pacing.mark_due || due;
}

static void collect_what_is_due(PyObject *gc, int64_t count0)
{
	struct tiers *tiers = &pacing.tiers;
	uint64_t most = pacing.marks ? tiers_wait_most(tiers) : UINT64_MAX;
	bool young = pacing.due == TIERS_SWEEP;

	pacing.swept = 0;
	if (young)
		pacing.young = 0;
	else
		young = freeze_overflow(gc, most, (uint64_t)count0);
	if (young)
		pacing.swept = marking_slice(tiers, tiers_wait_slice(tiers), true);
	observer_idle_from(machine_cpu_of_others());
	collector_collect(gc, young ? 0 : pacing.due == TIERS_FULL ? 2 : 1, GCPRELOAD_CAUSE_IDLE);
}

void pacing_collect(PyObject *gc)
{
	int64_t counts[GCPRELOAD_GENERATIONS];

	if (is_over() || !collector_counts(gc, counts))
		return;
	collect_what_is_due(gc, counts[0]);
	if (pacing.mark_due && !pacing.tiers.out)
		memory_mark(gc, &pacing.tiers, gcpreload_now_ns(), pacing.mark_why);
	pacing.mark_due = false;
}

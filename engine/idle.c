/* SPDX-License-Identifier: MIT */
#include "engine/idle.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/machine.h"
#include "engine/act.h"
#include "engine/collector.h"
#include "engine/growth.h"
#include "engine/pacer.h"
#include "engine/process.h"
#include "engine/tuner.h"
#include "inject/gil.h"
#include "inject/module.h"
#include "inject/observer.h"
#include "inject/waiting.h"
#include "ring/family.h"

#define UNREACHED_NS 1000000000ull /* the guard waits so long for a chance */
#define BUSY_EVERY_NS                                                                              \
	25000000ull	   /* where collections run in requests: a settling wait is                \
			      some wake-ups, and may be in vain */
#define RECIPES_OWN 50000  /* GCPRELOAD_THRESHOLDS as it is by default */
#define NET	    500000 /* the safety net at the highest, where objects cost little */
/* A request that leaves a descriptor in a cycle may come a thousand times a second. */
#define GROWTH_EVERY_NS	  20000000ull
#define CHANCES_EVERY_NS  2000000ull
#define COMMANDS_EVERY_NS 1000000000ull

static struct pacer decisions;
static volatile bool wanted; /* chances; read without the GIL */
static bool running;	     /* this process is tuned */
static bool in_force;	     /* threshold0 is ours to adapt */
static struct growth base;   /* what there was when all garbage was gone */
static uint64_t grown_ns;    /* when it was last compared with that */
static bool deferred;	     /* given to the event loop, which has not come to it */
static uint64_t others_ns;   /* CPU of the other threads at the last look */
static int due_generation;
static uint64_t last_ns; /* what the last collection at a chance took */

static struct {
	bool known;
	int32_t pid;
	uint64_t start_time;
} parent;

bool gcpreload_inject_wants_chances(void)
{
	return wanted;
}

uint64_t gcpreload_inject_looks_every(void)
{
	return wanted ? CHANCES_EVERY_NS : running ? GROWTH_EVERY_NS : COMMANDS_EVERY_NS;
}

/* Four system calls, so not at each look. */
static bool has_grown(uint64_t now)
{
	struct growth growth;

	if (gcpreload_elapsed(grown_ns, now) < GROWTH_EVERY_NS)
		return false;
	grown_ns = now;
	machine_growth(&growth);
	return growth_is_due(&base, &growth);
}

bool gcpreload_inject_grown(void)
{
	return running && has_grown(gcpreload_now_ns());
}

void idle_begin(PyObject *gc, uint64_t ready_ns)
{
	struct pacer_limits limits = {
		.young_ns = settings->young_ns,
		.budget_ns = settings->budget_ns,
		.idle = process.mode == GCPRELOAD_MODE_IDLE && process.status.frozen_objects >= 0,
	};
	int64_t frozen = process.status.frozen_objects;

	memcpy(limits.own, process.status.thresholds_before, sizeof limits.own);
	limits.top = process.status.thresholds[0];
	limits.asked = settings->thresholds[0] != RECIPES_OWN;
	limits.net = limits.idle && !limits.asked ? NET : limits.top;
	pacer_begin(&decisions, &limits, gcpreload_now_ns(), frozen > 0 ? (uint64_t)frozen : 0,
		    ready_ns);
	tuner_adapt_thresholds(gc, decisions.threshold0, decisions.threshold2);
	others_ns = machine_cpu_of_others();
	parent.known = false;
	deferred = false;
	in_force = limits.top != GCPRELOAD_KEEP && settings->thresholds[0] != GCPRELOAD_KEEP;
	machine_growth(&base);
	running = true;
	wanted = limits.idle;
}

void idle_end(void)
{
	wanted = running = in_force = deferred = false;
	memset(&process.status.idle.guard, 0, sizeof process.status.idle.guard);
	process.status.idle.due = 0;
}

static bool thresholds_differ(void)
{
	const int32_t *set = process.status.thresholds;

	return decisions.threshold0 != set[0] ||
	       (settings->thresholds[2] == GCPRELOAD_KEEP && decisions.threshold2 != set[2]);
}

/* Tells the ring what the pacer has come to, and the interpreter its threshold. */
static void settle(PyObject *gc)
{
	static const char never_waits[] = "no idle moment: collecting as mode freeze does",
			  unknown[] = "its waits are not known: collecting as mode freeze does";

	if (process.status.state != GCPRELOAD_STATE_READY)
		return;
	if (in_force && thresholds_differ())
		tuner_adapt_thresholds(gc, decisions.threshold0, decisions.threshold2);
	if (decisions.guard != GCPRELOAD_GUARD_NONE &&
	    process.status.idle.guard == GCPRELOAD_GUARD_NONE)
		process.status.idle.guard_trips++;
	process.status.idle.guard = decisions.guard;
	if (decisions.guard == GCPRELOAD_GUARD_LIMIT)
		process_text(reason, "near the memory limit: the interpreter's own thresholds");
	else if (decisions.unguarded)
		process_text(reason, "memory grows, and nowhere to collect: the interpreter's own "
				     "thresholds");
	else if (decisions.fallen_back)
		process_text(reason, decisions.had_chance ? never_waits : unknown);
	else
		process_text(reason, tuner_limits());
	process_update();
}

/* Whether the application still leaves its collector to us. */
static bool still_ours(PyObject *gc)
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

static void look_at_machine(uint64_t now)
{
	struct machine machine;

	if (pacer_machine_due(&decisions, now)) {
		machine_look(&machine);
		pacer_machine(&decisions, now, &machine);
	}
}

static void guard(PyObject *gc)
{
	struct machine machine;
	struct growth growth;
	uint64_t before = gcpreload_now_ns(), after;
	int64_t collected = collector_collect(gc, 2, GCPRELOAD_CAUSE_GUARD);

	after = gcpreload_now_ns();
	machine_look(&machine);
	pacer_guarded(&decisions, after, machine.resident, collected > 0 ? (uint64_t)collected : 0,
		      after - before);
	machine_growth(&growth);
	if (!growth_is_due(&base, &growth))
		return;
	/* What holds it may be frozen. */
	if (tuner_collect_all(gc, GCPRELOAD_CAUSE_GUARD))
		pacer_all_frozen(&decisions, gcpreload_now_ns());
	machine_growth(&base);
}

/* In a callback, with the GIL: settled here, since a main thread that blocks runs no pending call.
 */
static void settle_in_callback(void)
{
	PyObject *gc = py_in_main_interpreter() ? module_gc() : NULL;

	if (gc && still_ours(gc))
		settle(gc);
	py_drop(gc);
}

void idle_observed(const struct gcpreload_event *event, uint64_t now_ns)
{
	bool changed = false;

	if (!running || process.status.state != GCPRELOAD_STATE_READY)
		return;
	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC)
		changed = pacer_automatic(&decisions, now_ns, event->generation, event->collected,
					  event->duration_ns);
	if (event->generation == GCPRELOAD_GENERATIONS - 1 &&
	    event->cause == GCPRELOAD_CAUSE_EXPLICIT) {
		pacer_all_frozen(&decisions, now_ns);
		machine_growth(&base);
		changed = true;
	}
	if (decisions.limits.idle && pacer_machine_due(&decisions, now_ns)) {
		look_at_machine(now_ns);
		changed = true;
	}
	if (has_grown(now_ns))
		pacer_grown(&decisions, now_ns);
	if (decisions.guard_full)
		process.idle_asked = process.idle_asked || gcpreload_inject_soon();
	if (changed)
		settle_in_callback();
}

void idle_act(PyObject *gc)
{
	uint64_t now = gcpreload_now_ns();

	if (!process.idle_asked)
		return;
	process.idle_asked = false;
	if (!running || !still_ours(gc))
		return;
	/* In the middle of a request: only where no wait of the server's comes. */
	if (!pacer_unreached(&decisions, now) && decisions.guard_full &&
	    (decisions.fallen_back || gcpreload_elapsed(decisions.guard_ns, now) > UNREACHED_NS)) {
		process.status.idle.guard_trips++;
		process.status.idle.guard = decisions.guard;
		guard(gc);
	}
	settle(gc);
}

static bool due(PyObject *gc)
{
	struct gcpreload_idle *told = &process.status.idle;
	int64_t counts[GCPRELOAD_GENERATIONS];
	uint64_t now = gcpreload_now_ns();
	enum pacer_due what;
	uint32_t before = told->due;

	if (deferred || !still_ours(gc) || !collector_counts(gc, counts))
		return false;
	look_at_machine(now);
	if (has_grown(now))
		pacer_grown(&decisions, now);
	what = pacer_due(&decisions, now, counts, &due_generation);
	if (what == PACER_BUDGET && due_generation == 2 && pacer_recount_due(&decisions, now)) {
		pacer_recounted(&decisions, now, (uint64_t)collector_old_objects(gc));
		what = pacer_due(&decisions, now, counts, &due_generation);
	}
	if (in_force && thresholds_differ())
		tuner_adapt_thresholds(gc, decisions.threshold0, decisions.threshold2);
	told->due = what == PACER_NOTHING ? 0 : (uint32_t)due_generation + 1;
	told->refused_budget += what == PACER_BUDGET;
	told->refused_throttled += what == PACER_PAUSED;
	if (what != PACER_COLLECT && told->due != before)
		process_update();
	return what == PACER_COLLECT;
}

/* A server's thread hands requests to others and waits for new ones: when those are done, nobody
 * wakes it. */
static enum gcpreload_chance busy(bool again)
{
	static uint64_t said_ns;
	uint64_t now = gcpreload_now_ns();

	if (again)
		return GCPRELOAD_CHANCE_BUSY;
	if (!pacer_expects(&decisions, now))
		return GCPRELOAD_CHANCE_NONE;
	process.status.idle.refused_busy++;
	if (pacer_out_of_reach(&decisions, now) && !process.idle_asked)
		process.idle_asked = gcpreload_inject_soon();
	if (decisions.fallen_back && gcpreload_elapsed(said_ns, now) < BUSY_EVERY_NS)
		return GCPRELOAD_CHANCE_NONE;
	said_ns = now;
	return GCPRELOAD_CHANCE_BUSY;
}

enum gcpreload_chance gcpreload_inject_due(bool again)
{
	uint64_t others = machine_cpu_of_others();
	bool worked = machine_others_worked(others, others_ns);
	struct gil_guard guard;
	PyObject *gc;
	bool yes;

	others_ns = others;
	if (worked)
		return busy(again);
	if (!act_open(&guard, &gc))
		return GCPRELOAD_CHANCE_NONE;
	yes = due(gc);
	act_close(&guard, gc);
	if (yes && machine_others_run())
		return busy(again);
	return yes ? GCPRELOAD_CHANCE_DUE : GCPRELOAD_CHANCE_NONE;
}

/* The processes of a server share its cores: not all at once. */
static int lock_family(void)
{
	if (!parent.known) {
		parent.known = true;
		parent.pid = (int32_t)syscall(SYS_getppid);
		parent.start_time = machine_start_time(parent.pid);
	}
	if (!gcpreload_ring_published())
		return -ENOENT;
	return gcpreload_family_lock(&process_place, parent.pid, parent.start_time);
}

static void collect_what_is_due(PyObject *gc)
{
	int64_t counts[GCPRELOAD_GENERATIONS], collected;
	uint64_t before, after;
	int family = lock_family();

	if (family == -EWOULDBLOCK) {
		process.status.idle.refused_family++;
		return;
	}
	if (collector_counts(gc, counts)) {
		before = gcpreload_now_ns();
		observer_idle_from(machine_cpu_of_others());
		collected = collector_collect(gc, due_generation, GCPRELOAD_CAUSE_IDLE);
		after = gcpreload_now_ns();
		last_ns = after - before;
		pacer_collected(&decisions, after, due_generation, counts[0],
				collected > 0 ? (uint64_t)collected : 0, last_ns);
	}
	if (family >= 0)
		gcpreload_family_unlock(family, &process_place, parent.pid, parent.start_time);
}

static void collect(PyObject *gc)
{
	if (decisions.guard_full)
		guard(gc);
	else if (wanted)
		collect_what_is_due(gc);
	others_ns = machine_cpu_of_others();
	process.status.idle.due = 0;
	settle(gc);
}

void gcpreload_inject_check(void)
{
	struct gil_guard guard;
	PyObject *gc;

	if (!running || !act_open(&guard, &gc))
		return;
	/* The application may have cleared gc.callbacks, and nobody would count. */
	if (still_ours(gc))
		observer_attach(gc);
	act_close(&guard, gc);
}

static void collect_now(PyObject *gc)
{
	waiting_collects(gc);
	collect(gc);
}

static PyObject *collect_in_loop(PyObject *self, PyObject *unused)
{
	struct gil_guard guard;
	PyObject *gc;

	(void)self;
	(void)unused;
	if (act_open(&guard, &gc)) {
		if (deferred && running && still_ours(gc))
			collect(gc);
		deferred = false;
		act_close(&guard, gc);
	}
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

static struct PyMethodDef collect_def = { "gcpreload_idle", collect_in_loop, METH_NOARGS, NULL };

enum gcpreload_acted gcpreload_inject_collect(bool endless)
{
	enum gcpreload_acted acted = GCPRELOAD_ACTED_COLLECTED;
	struct gil_guard guard;
	PyObject *gc;

	if (!act_open(&guard, &gc))
		return GCPRELOAD_ACTED_NOT;
	last_ns = 0;
	if (!wanted && running)
		pacer_grown(&decisions, gcpreload_now_ns()); /* else nobody would have come */
	if (!running || (!wanted && !still_ours(gc)))
		acted = GCPRELOAD_ACTED_LOOKED;
	else if (waiting_defers(&collect_def))
		deferred = true;
	else if (endless)
		acted = GCPRELOAD_ACTED_LOOKED;
	else
		collect_now(gc);
	act_close(&guard, gc);
	return acted;
}

void gcpreload_inject_woke(bool at_once)
{
	if (at_once && last_ns) {
		process.status.idle.delayed_wakeups++;
		process.status.idle.delayed_ns += last_ns;
	}
}

/* SPDX-License-Identifier: MIT */
#include "inject/idle.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inject/act.h"
#include "inject/collector.h"
#include "inject/defer.h"
#include "inject/gil.h"
#include "inject/machine.h"
#include "inject/observer.h"
#include "inject/policy.h"
#include "inject/process.h"
#include "inject/tuner.h"
#include "ring/family.h"

#define UNREACHED_NS 1000000000ull /* the guard waits so long for a chance */
#define BUSY_EVERY_NS                                                                              \
	25000000ull	   /* where collections run in requests: a settling wait is                \
			      some wake-ups, and may be in vain */
#define RECIPES_OWN 50000  /* GCPRELOAD_THRESHOLDS as it is by default */
#define NET	    500000 /* the safety net at the highest, where objects cost little */

static struct policy decisions;
static volatile bool wanted; /* chances; read without the GIL */
static bool in_force;	     /* threshold0 is ours to adapt */
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

void idle_begin(PyObject *gc, uint64_t ready_ns)
{
	struct policy_limits limits = {
		.young_ns = policy->young_ns,
		.budget_ns = policy->budget_ns,
		.idle = process.mode == GCPRELOAD_MODE_IDLE && process.status.frozen_objects >= 0,
	};
	int64_t frozen = process.status.frozen_objects;

	memcpy(limits.own, process.status.thresholds_before, sizeof limits.own);
	limits.top = process.status.thresholds[0];
	limits.net = limits.idle && policy->thresholds[0] == RECIPES_OWN ? NET : limits.top;
	policy_begin(&decisions, &limits, gcpreload_ring_now(), frozen > 0 ? (uint64_t)frozen : 0,
		     ready_ns);
	tuner_adapt_thresholds(gc, decisions.threshold0, decisions.threshold2);
	others_ns = machine_cpu_of_others();
	parent.known = false;
	deferred = false;
	in_force = limits.top != GCPRELOAD_KEEP && policy->thresholds[0] != GCPRELOAD_KEEP;
	wanted = limits.idle;
}

void idle_end(void)
{
	wanted = in_force = deferred = false;
	memset(&process.status.idle.guard, 0, sizeof process.status.idle.guard);
	process.status.idle.due = 0;
}

static bool thresholds_differ(void)
{
	const int32_t *set = process.status.thresholds;

	return decisions.threshold0 != set[0] ||
	       (policy->thresholds[2] == GCPRELOAD_KEEP && decisions.threshold2 != set[2]);
}

/* Tells the ring what the policy has come to, and the interpreter its threshold. */
static void settle(PyObject *gc)
{
	static const char never_waits[] = "no idle moment: collecting as mode freeze does";

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
	else
		process_text(reason, decisions.fallen_back ? never_waits : "");
	process_update();
}

/* Whether the application still leaves its collector to us. */
static bool still_ours(PyObject *gc)
{
	const char *word;

	if (process.status.state != GCPRELOAD_STATE_READY)
		return false;
	word = tuner_applications_word_later(gc);
	if (!word)
		return true;
	tuner_stand_back(word);
	process_update();
	return false;
}

static void look_at_machine(uint64_t now)
{
	struct policy_machine machine;

	if (policy_machine_due(&decisions, now)) {
		machine_look(&machine);
		policy_machine(&decisions, now, &machine);
	}
}

static void guard(PyObject *gc)
{
	struct policy_machine machine;
	uint64_t before = gcpreload_ring_now(), after;
	int64_t collected = collector_collect(gc, 2, GCPRELOAD_CAUSE_GUARD);

	after = gcpreload_ring_now();
	machine_look(&machine);
	policy_guarded(&decisions, after, machine.resident, collected > 0 ? (uint64_t)collected : 0,
		       after - before);
}

void idle_observed(const struct gcpreload_event *event, uint64_t now_ns)
{
	bool changed = false;

	if (!in_force || process.status.state != GCPRELOAD_STATE_READY)
		return;
	if (event->cause == GCPRELOAD_CAUSE_AUTOMATIC)
		changed = policy_automatic(&decisions, now_ns, event->generation, event->collected,
					   event->duration_ns);
	if (changed || (decisions.limits.idle && policy_machine_due(&decisions, now_ns)))
		process.idle_asked = process.idle_asked || gcpreload_inject_soon();
}

void idle_act(PyObject *gc)
{
	uint64_t now = gcpreload_ring_now();

	if (!process.idle_asked)
		return;
	process.idle_asked = false;
	if (!in_force || !still_ours(gc))
		return;
	if (decisions.limits.idle)
		look_at_machine(now);
	/* In the middle of a request: only where no chance comes. */
	if (!policy_unreached(&decisions, now) && decisions.guard_full &&
	    (decisions.fallen_back || now - decisions.chance_ns > UNREACHED_NS)) {
		process.status.idle.guard_trips++;
		process.status.idle.guard = decisions.guard;
		guard(gc);
	}
	settle(gc);
}

/* gc.get_count() */
static bool counts_of(PyObject *gc, int64_t counts[GCPRELOAD_GENERATIONS])
{
	PyObject *tuple = py.PyObject_CallMethod(gc, "get_count", NULL);
	int n[GCPRELOAD_GENERATIONS], i;
	bool ok = tuple && py.PyArg_ParseTuple(tuple, "iii", &n[0], &n[1], &n[2]);

	py_drop(tuple);
	for (i = 0; ok && i < GCPRELOAD_GENERATIONS; i++)
		counts[i] = n[i];
	return ok;
}

static bool due(PyObject *gc)
{
	struct gcpreload_idle *told = &process.status.idle;
	int64_t counts[GCPRELOAD_GENERATIONS];
	uint64_t now = gcpreload_ring_now();
	enum policy_due what;
	uint32_t before = told->due;

	if (deferred || !still_ours(gc) || !counts_of(gc, counts))
		return false;
	look_at_machine(now);
	what = policy_due(&decisions, now, counts, &due_generation);
	if (what == POLICY_BUDGET && due_generation == 2 && policy_recount_due(&decisions, now)) {
		policy_recounted(&decisions, now, (uint64_t)collector_old_objects(gc));
		what = policy_due(&decisions, now, counts, &due_generation);
	}
	told->due = what == POLICY_NOTHING ? 0 : (uint32_t)due_generation + 1;
	told->refused_budget += what == POLICY_BUDGET;
	told->refused_throttled += what == POLICY_PAUSED;
	if (what != POLICY_COLLECT && told->due != before)
		process_update();
	return what == POLICY_COLLECT;
}

/* A server's thread hands requests to others and waits for new ones: when those are done, nobody
 * wakes it. */
static enum gcpreload_chance busy(bool again)
{
	static uint64_t said_ns;
	uint64_t now = gcpreload_ring_now();

	if (again)
		return GCPRELOAD_CHANCE_BUSY;
	if (!policy_expects(&decisions, now))
		return GCPRELOAD_CHANCE_NONE;
	process.status.idle.refused_busy++;
	if (policy_out_of_reach(&decisions, now) && !process.idle_asked)
		process.idle_asked = gcpreload_inject_soon();
	if (decisions.fallen_back && now - said_ns < BUSY_EVERY_NS)
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
	return gcpreload_family_lock(&policy->place, parent.pid, parent.start_time);
}

static void collect(PyObject *gc)
{
	int64_t counts[GCPRELOAD_GENERATIONS], collected;
	uint64_t before, after;
	int family = lock_family();

	if (family == -EWOULDBLOCK) {
		process.status.idle.refused_family++;
		return;
	}
	if (counts_of(gc, counts)) {
		if (decisions.guard_full) {
			guard(gc);
		} else {
			before = gcpreload_ring_now();
			observer_idle_from(machine_cpu_of_others());
			collected = collector_collect(gc, due_generation, GCPRELOAD_CAUSE_IDLE);
			after = gcpreload_ring_now();
			last_ns = after - before;
			policy_collected(&decisions, after, due_generation, counts[0],
					 collected > 0 ? (uint64_t)collected : 0, last_ns);
		}
	}
	if (family >= 0)
		gcpreload_family_unlock(family, &policy->place, parent.pid, parent.start_time);
	others_ns = machine_cpu_of_others();
	process.status.idle.due = 0;
	settle(gc);
}

static PyObject *collect_in_loop(PyObject *self, PyObject *unused)
{
	struct gil_guard guard;
	PyObject *gc;

	(void)self;
	(void)unused;
	if (act_open(&guard, &gc)) {
		if (deferred && wanted && still_ours(gc))
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
	if (!wanted)
		acted = GCPRELOAD_ACTED_LOOKED;
	else if (defer_to_loop(&collect_def))
		deferred = true;
	else if (endless)
		acted = GCPRELOAD_ACTED_LOOKED;
	else
		collect(gc);
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

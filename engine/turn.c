/* SPDX-License-Identifier: MIT */
#include "engine/turn.h"

#include "base/machine.h"
#include "engine/begin.h"
#include "engine/entrance.h"
#include "engine/pacing.h"
#include "engine/process.h"
#include "engine/settled.h"
#include "engine/startup.h"
#include "engine/tuner.h"
#include "inject/inject.h"
#include "inject/module.h"

#define OBSERVE_BEFORE_FILE_NS 2000000000ull
#define LOOK_EVERY_NS	       1000000000ull
#define UNANSWERED_NS	       1000000000ull

static const struct gcpreload_engine_hooks *turn_hooks;

void turn_use(const struct gcpreload_engine_hooks *hooks)
{
	turn_hooks = hooks;
}

static void observe_now(void)
{
	process_observes();
	process_publish();
}

/* In a process that only observes, nothing else ever decides to make the file. Not in a callback:
 * making it takes longer than a collection should, unless the main thread blocks and runs no
 * pending call. */
static void tick_observer(uint64_t now_ns)
{
	uint64_t from = gcpreload_ring_attached_ns() + OBSERVE_BEFORE_FILE_NS;

	if (process.status.state != GCPRELOAD_STATE_STARTING)
		return;
	if (process.mode == GCPRELOAD_MODE_OBSERVE && !process.observed_enough && now_ns > from)
		process.observed_enough = gcpreload_engine_soon();
	else if (process.observed_enough && now_ns > from + UNANSWERED_NS)
		observe_now();
}

/* Nothing has been decided of it, and something may be. */
static bool is_undecided(void)
{
	uint32_t state = process.status.state;

	return (state == GCPRELOAD_STATE_STARTING || state == GCPRELOAD_STATE_OBSERVING) &&
	       !process.begun && !(process.status.flags & GCPRELOAD_FLAG_PARENT) &&
	       trigger_find(&settings->triggers, TRIGGER_AUTO);
}

static void tick_settled(uint64_t now_ns, const struct gcpreload_event *event)
{
	struct settled *settled = &process.settled;
	struct growth now;

	if (event->cause != GCPRELOAD_CAUSE_AUTOMATIC || !is_undecided())
		return;
	if (event->generation == GCPRELOAD_GENERATIONS - 1)
		settled_full(settled, now_ns, event->collected, event->duration_ns);
	if (!settled_is_due(settled, now_ns))
		return;
	machine_growth(&now);
	if (settled_look(settled, now_ns, now.resident, gcpreload_inject_modules()))
		turn_hooks->settled();
}

/* Else the bootstrap says so, which is not there; before 3.10 the list of callbacks is theirs, too.
 */
static void tick_subinterpreters(void)
{
	if (process.attached && python_version.minor >= 10 &&
	    !(process.status.flags & GCPRELOAD_FLAG_SUBINTERPRETERS) && py_has_subinterpreters())
		begin_subinterpreter();
}

void turn_tick(uint64_t now_ns, const struct gcpreload_event *event)
{
	begin_if_new();
	tick_subinterpreters();
	pacing_observed(event, now_ns);
	startup_tick(now_ns);
	tick_observer(now_ns);
	tick_settled(now_ns, event);
	gcpreload_ring_load(now_ns, event->cause == GCPRELOAD_CAUSE_FINAL);
	if (process.status.state == GCPRELOAD_STATE_READY &&
	    now_ns > process.looked_ns + LOOK_EVERY_NS && gcpreload_engine_soon())
		process.looked_ns = now_ns;
	turn_hooks->tick(now_ns);
}

/* In the main interpreter, whose thread it is. */
static void act_here(PyObject *gc)
{
	/* An application may begin to tune its collector in its first request, or unfreeze all. */
	if (process.status.state == GCPRELOAD_STATE_READY) {
		tuner_still_ours(gc);
		process_update();
	}
	pacing_act(gc);
	if (process.observed_enough && process.status.state == GCPRELOAD_STATE_STARTING)
		observe_now();
}

void turn_act(void)
{
	PyObject *gc;

	if (!settings) /* detached since it was asked for */
		return;
	if (py_in_main_interpreter()) {
		begin_if_new();
		gc = module_gc();
		entrance_note(true);
		if (gc)
			act_here(gc);
		entrance_note(false);
		py_drop(gc);
	}
	turn_hooks->act();
}

void turn_before_fork(void)
{
	turn_hooks->before_fork();
}

/* SPDX-License-Identifier: MIT */
#include "preload/agenda.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/shared.h"
#include "preload/control.h"
#include "preload/listeners.h"
#include "preload/ready.h"

#define REOPENED_AT_MOST 8
#define CHECK_EVERY_NS	 1000000000ull
#define UNANSWERED_NS	 1000000000ull
#define LOOK_EVERY_NS	 100000000ull /* for an import, which needs the GIL to be seen */

enum stage { WAITING, BASELINE, DONE };

static const struct trigger_list *triggers;
static uint64_t baseline_ns;
static uint64_t started_ns;
static volatile sig_atomic_t signalled;
static bool preforked; /* of this process or an ancestor */

/* Of this process. */
static struct {
	enum stage stage;
	uint64_t due_ns; /* 0: nothing fired yet */
	const char *fired;
	bool anywhere;	  /* need not wait for a server's wait */
	bool soon;	  /* gcpreload_engine_soon was asked ... */
	uint64_t soon_ns; /* ... at this time */
	uint64_t looked_ns;
	uint64_t checked_ns;
	uint64_t accepted;
	bool accepts_fired;
	unsigned reopened;
	bool is_parent;
} agenda;

static void on_signal(int number)
{
	(void)number;
	signalled = 1;
	ready_urgent = 1; /* the interrupted wait is tried again, and then looks */
}

/* Before the interpreter starts: a handler that the application sets later wins. */
static void watch_signal(const struct trigger *trigger)
{
	struct sigaction action;

	/* A program that has a handler of its own needs it more. */
	if (sigaction((int)trigger->number, NULL, &action) < 0 || action.sa_handler != SIG_DFL)
		return;
	memset(&action, 0, sizeof action);
	action.sa_handler = on_signal;
	action.sa_flags = SA_ONSTACK;
	sigemptyset(&action.sa_mask);
	sigaction((int)trigger->number, &action, NULL);
}

void agenda_start(const struct trigger_list *the_triggers, uint64_t the_baseline_ns)
{
	triggers = the_triggers;
	baseline_ns = the_baseline_ns;
	started_ns = gcpreload_now_ns();
	ready_counts_accepts = trigger_find(triggers, TRIGGER_ACCEPTS) != NULL;
}

void agenda_python_found(void)
{
	const struct trigger *trigger = trigger_find(triggers, TRIGGER_SIGNAL);

	if (trigger)
		watch_signal(trigger);
}

void agenda_begin_process(void)
{
	memset(&agenda, 0, sizeof agenda);
	/* A worker that never listens (Celery's) was made ready by its parent's fork. */
	if (preforked)
		agenda_fire(TRIGGER_FORK, "fork, in the child");
}

static void fire(enum trigger_kind kind, const char *text, uint64_t after_ns, bool anywhere)
{
	const struct trigger *trigger = triggers ? trigger_find(triggers, kind) : NULL;
	uint64_t due;

	if (!trigger || agenda.stage != WAITING)
		return;
	due = gcpreload_now_ns() + trigger->after_ns + after_ns;
	if (agenda.due_ns && agenda.due_ns <= due)
		return;
	agenda.due_ns = due;
	agenda.fired = text;
	agenda.anywhere = anywhere;
}

void agenda_fire(enum trigger_kind kind, const char *text)
{
	fire(kind, text, 0, kind != TRIGGER_AUTO && kind != TRIGGER_ACCEPTS);
}

void agenda_fire_elsewhere(enum trigger_kind kind, const char *text, uint64_t after_ns)
{
	fire(kind, text, after_ns, true);
}

void agenda_reopen(void)
{
	/* Not for each short-lived listener of a program's requests. */
	if (agenda.stage == DONE && agenda.reopened < REOPENED_AT_MOST) {
		agenda.reopened++;
		agenda.stage = WAITING;
		agenda.due_ns = 0;
	}
}

bool agenda_done(void)
{
	return agenda.stage == DONE;
}

void agenda_accepted(void)
{
	const struct trigger *trigger = trigger_find(triggers, TRIGGER_ACCEPTS);

	if (agenda.accepts_fired || add_relaxed(&agenda.accepted, 1) + 1 < trigger->number)
		return;
	agenda.accepts_fired = true;
	agenda_reopen();
	agenda_fire(TRIGGER_ACCEPTS, "accepts");
	ready_urgent = 1;
}

/* Triggers that nobody calls about. The GIL is held, or may be taken. */
static void look(uint64_t now)
{
	const struct trigger *trigger;

	if (signalled) {
		signalled = 0;
		agenda_reopen();
		agenda_fire(TRIGGER_SIGNAL, "signal");
	}
	if (agenda.stage != WAITING || !triggers)
		return;
	trigger = trigger_find(triggers, TRIGGER_DELAY);
	if (trigger && gcpreload_elapsed(started_ns, now) >= trigger->number)
		agenda_fire(TRIGGER_DELAY, "delay");
	trigger = trigger_find(triggers, TRIGGER_IMPORT);
	if (trigger && !agenda.due_ns &&
	    gcpreload_elapsed(agenda.looked_ns, now) >= LOOK_EVERY_NS) {
		agenda.looked_ns = now;
		if (gcpreload_inject_imported(trigger->module))
			agenda_fire(TRIGGER_IMPORT, "import");
	}
}

static bool is_due(uint64_t now)
{
	return agenda.due_ns && now >= agenda.due_ns && agenda.stage != DONE;
}

static enum gcpreload_acted act(uint64_t now)
{
	enum gcpreload_acted acted;

	if (agenda.stage == WAITING && baseline_ns) {
		acted = gcpreload_engine_baseline(agenda.fired, now + baseline_ns);
		if (acted != GCPRELOAD_ACTED_NOT) {
			agenda.stage = BASELINE;
			agenda.due_ns = now + baseline_ns;
			agenda.anywhere = true;
		}
		return acted;
	}
	acted = gcpreload_engine_ready(agenda.fired);
	if (acted != GCPRELOAD_ACTED_NOT) {
		agenda.stage = DONE;
		agenda.due_ns = 0;
	}
	return acted;
}

/* A command may have come, through the file beside the ring. */
static enum gcpreload_acted take_command(uint64_t now)
{
	struct control_command command;

	enum gcpreload_acted acted;

	if (!control_read(now, &command))
		return GCPRELOAD_ACTED_LOOKED;
	acted = gcpreload_engine_command(command.verb, command.serial);
	if (acted == GCPRELOAD_ACTED_NOT)
		return acted;
	control_taken(command.serial);
	agenda.stage = DONE;
	agenda.due_ns = 0;
	return acted;
}

enum gcpreload_acted agenda_at_wait(void)
{
	uint64_t now = gcpreload_now_ns();
	enum gcpreload_acted acted = GCPRELOAD_ACTED_LOOKED;

	look(now);
	if (is_due(now)) {
		acted = act(now);
	} else if (agenda.stage == DONE &&
		   gcpreload_elapsed(agenda.checked_ns, now) >= CHECK_EVERY_NS) {
		agenda.checked_ns = now;
		gcpreload_engine_check();
	}
	return acted == GCPRELOAD_ACTED_LOOKED ? take_command(now) : acted;
}

void agenda_tick(uint64_t now)
{
	ready_begin_if_new();
	look(now);
	if (!((is_due(now) && agenda.anywhere) || control_pending(now)))
		return;
	if (!agenda.soon) {
		agenda.soon = gcpreload_engine_soon();
		agenda.soon_ns = now;
	} else if (gcpreload_elapsed(agenda.soon_ns, now) >= UNANSWERED_NS) {
		/* The main thread blocks in C, in a lock (gRPC's servers): here, where the GIL is
		 * held. A collection within one does nothing; freezing does. */
		agenda_at_wait();
	}
}

void agenda_act(void)
{
	ready_begin_if_new();
	agenda.soon = false;
	agenda_at_wait();
}

/* A process that waits on its sockets itself forks for jobs; one that nobody waits on in here is
 * for those who are forked. */
static bool makes_workers(void)
{
	return triggers && trigger_find(triggers, TRIGGER_AUTO) && !ready_serves() &&
	       listeners_for_workers();
}

void agenda_before_fork(void)
{
	bool asked = triggers && trigger_find(triggers, TRIGGER_FORK);

	ready_begin_if_new();
	if (!asked && !makes_workers())
		return;
	gcpreload_engine_prefork(asked ? "fork" : "auto: fork");
	preforked = preforked || asked;
	agenda.is_parent = true;
}

void agenda_before_c_fork(void)
{
	if (makes_workers())
		gcpreload_engine_prefork_from_c("auto: fork");
}

bool agenda_is_parent(void)
{
	return agenda.is_parent;
}

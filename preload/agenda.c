/* SPDX-License-Identifier: MIT */
#include "preload/agenda.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/shared.h"
#include "preload/control.h"
#include "preload/listeners.h"
#include "preload/look.h"
#include "preload/servers.h"

#define REOPENED_AT_MOST 8
#define CHECK_EVERY_NS	 1000000000ull
#define UNANSWERED_NS	 1000000000ull
#define LOOK_EVERY_NS	 100000000ull /* for an import, which needs the GIL to be seen */

enum stage { WAITING, BASELINE, DONE };

/* Written when the settings are read, before any other thread looks. */
static const struct trigger_list *triggers;
static uint64_t baseline_ns;
static uint64_t started_ns;

/* Set by the signal's handler, in any thread; unset by who looks. */
static int signalled;
/* Of this process or an ancestor. Written with the GIL before os.fork(), read where a child begins.
 */
static bool preforked;
static bool attached; /* the same, but before any of ours came by */

/* Of this process: by name. Written and read by the thread that serves, at its waits, and by
 * whichever holds the GIL, after collections; listen() and accept() of any thread write as well.
 * What one sees too late is a look more or less. */
static struct {
	enum stage stage;
	uint64_t due_ns; /* 0: nothing fired yet; written after the next two */
	const char *fired;
	bool anywhere;	  /* need not wait for a server's wait */
	bool soon;	  /* gcpreload_engine_soon was asked ... */
	uint64_t soon_ns; /* ... at this time */
	uint64_t looked_ns;
	uint64_t checked_ns;
	uint64_t ring_ns; /* last look whether the ring is there */
	bool ring_due;	  /* it was missing then */
	uint64_t accepted;
	bool accepts_fired;
	unsigned reopened;
	bool is_parent;
	bool forks; /* by os.fork(): for workers, or jobs */
} agenda;

#define agenda_get(field)	 load_relaxed(&agenda.field)
#define agenda_set(field, value) store_relaxed(&agenda.field, (value))

static void agenda_on_signal(int number)
{
	(void)number;
	store_relaxed(&signalled, 1);
	look_soon(); /* the interrupted wait is tried again, and then looks */
}

/* Before the interpreter starts: a handler that the application sets later wins. */
static void agenda_watch_signal(const struct trigger *trigger)
{
	struct sigaction action;

	/* A program that has a handler of its own needs it more. */
	if (sigaction((int)trigger->number, NULL, &action) < 0 || action.sa_handler != SIG_DFL)
		return;
	memset(&action, 0, sizeof action);
	action.sa_handler = agenda_on_signal;
	action.sa_flags = SA_ONSTACK;
	sigemptyset(&action.sa_mask);
	sigaction((int)trigger->number, &action, NULL);
}

void agenda_start(const struct trigger_list *the_triggers, uint64_t the_baseline_ns)
{
	triggers = the_triggers;
	baseline_ns = the_baseline_ns;
	started_ns = gcpreload_now_ns();
	store_release(&look_counts_accepts, trigger_find(triggers, TRIGGER_ACCEPTS) != NULL);
}

void agenda_python_found(void)
{
	const struct trigger *trigger = trigger_find(triggers, TRIGGER_SIGNAL);

	if (trigger)
		agenda_watch_signal(trigger);
}

void agenda_begin_process(void)
{
	agenda_set(stage, WAITING);
	agenda_set(due_ns, 0);
	agenda_set(fired, NULL);
	agenda_set(anywhere, false);
	agenda_set(soon, false);
	agenda_set(soon_ns, 0);
	agenda_set(looked_ns, 0);
	agenda_set(checked_ns, 0);
	agenda_set(ring_ns, 0);
	agenda_set(ring_due, false);
	agenda_set(accepted, 0);
	agenda_set(accepts_fired, false);
	agenda_set(reopened, 0);
	agenda_set(is_parent, false);
	agenda_set(forks, false);
	control_begin_process();
	/* A worker that never listens (Celery's) was made ready by its parent's fork. */
	if (load_relaxed(&preforked))
		agenda_fire(TRIGGER_FORK, "fork, in the child");
}

static void agenda_put(enum trigger_kind kind, const char *text, uint64_t after_ns, bool anywhere)
{
	const struct trigger *trigger = triggers ? trigger_find(triggers, kind) : NULL;
	uint64_t due, before;

	if (!trigger || agenda_get(stage) != WAITING)
		return;
	due = gcpreload_now_ns() + trigger->after_ns + after_ns;
	before = agenda_get(due_ns);
	if (before && before <= due)
		return;
	agenda_set(fired, text);
	agenda_set(anywhere, anywhere);
	store_release(&agenda.due_ns, due);
}

void agenda_fire(enum trigger_kind kind, const char *text)
{
	bool at_wait = kind == TRIGGER_AUTO || (kind == TRIGGER_ACCEPTS && servers_any());

	agenda_put(kind, text, 0, !at_wait);
}

void agenda_fire_elsewhere(enum trigger_kind kind, const char *text, uint64_t after_ns)
{
	agenda_put(kind, text, after_ns, true);
}

void agenda_attached(void)
{
	store_relaxed(&attached, true);
	agenda_set(fired, "attach");
	agenda_set(anywhere, true);
	store_release(&agenda.due_ns, gcpreload_now_ns());
}

bool agenda_sees_waits(void)
{
	return !load_relaxed(&attached);
}

/* Where a listener was armed, that has fired already, and the first counts. Who has forked may be
 * the parent of workers, unless there are none: gevent forks to run other programs. */
void agenda_settled(void)
{
	if (!agenda_get(forks) || !machine_has_children())
		agenda_fire_elsewhere(TRIGGER_AUTO, "auto: settled", 0);
}

void agenda_reopen(void)
{
	/* Not for each short-lived listener of a program's requests. */
	if (agenda_get(stage) == DONE && agenda_get(reopened) < REOPENED_AT_MOST) {
		add_relaxed(&agenda.reopened, 1);
		agenda_set(due_ns, 0);
		agenda_set(stage, WAITING);
	}
}

bool agenda_done(void)
{
	return agenda_get(stage) == DONE;
}

void agenda_accepted(void)
{
	const struct trigger *trigger = trigger_find(triggers, TRIGGER_ACCEPTS);

	if (agenda_get(accepts_fired) || add_relaxed(&agenda.accepted, 1) + 1 < trigger->number ||
	    exchange_relaxed(&agenda.accepts_fired, true))
		return;
	agenda_reopen();
	agenda_fire(TRIGGER_ACCEPTS, "accepts");
	look_soon();
}

static void agenda_look_for_import(const struct trigger *trigger, uint64_t now)
{
	if (agenda_get(due_ns) || gcpreload_elapsed(agenda_get(looked_ns), now) < LOOK_EVERY_NS)
		return;
	agenda_set(looked_ns, now);
	if (gcpreload_inject_imported(trigger->module))
		agenda_fire(TRIGGER_IMPORT, "import");
}

/* Triggers that nobody calls about. The GIL is held, or may be taken. */
static void agenda_look(uint64_t now)
{
	const struct trigger *trigger;

	if (load_relaxed(&signalled)) {
		store_relaxed(&signalled, 0);
		agenda_reopen();
		agenda_fire(TRIGGER_SIGNAL, "signal");
	}
	if (agenda_get(stage) != WAITING || !triggers)
		return;
	trigger = trigger_find(triggers, TRIGGER_DELAY);
	if (trigger && gcpreload_elapsed(started_ns, now) >= trigger->number)
		agenda_fire(TRIGGER_DELAY, "delay");
	trigger = trigger_find(triggers, TRIGGER_IMPORT);
	if (trigger)
		agenda_look_for_import(trigger, now);
}

static bool agenda_is_due(uint64_t now)
{
	uint64_t due = load_acquire(&agenda.due_ns);

	return due && now >= due && agenda_get(stage) != DONE;
}

static void agenda_end(void)
{
	control_begins();
	agenda_set(stage, DONE);
	agenda_set(due_ns, 0);
}

static enum gcpreload_acted agenda_do(uint64_t now)
{
	enum gcpreload_acted acted;

	if (agenda_get(stage) == WAITING && baseline_ns) {
		acted = gcpreload_engine_baseline(agenda_get(fired), now + baseline_ns);
		if (acted != GCPRELOAD_ACTED_NOT) {
			agenda_set(stage, BASELINE);
			agenda_set(anywhere, true);
			store_release(&agenda.due_ns, now + baseline_ns);
		}
		return acted;
	}
	acted = gcpreload_engine_ready(agenda_get(fired));
	if (acted != GCPRELOAD_ACTED_NOT)
		agenda_end();
	return acted;
}

/* A command may have come, through the file beside the ring. */
static enum gcpreload_acted agenda_take_command(uint64_t now)
{
	struct gcpreload_control command;
	enum gcpreload_acted acted;

	if (!control_read(now, &command))
		return GCPRELOAD_ACTED_LOOKED;
	acted = gcpreload_engine_command(command.verb, command.serial);
	if (acted == GCPRELOAD_ACTED_NOT)
		return acted;
	control_taken(&command);
	agenda_end();
	return acted;
}

/* A cleaner may have removed it, or there was no space. */
static bool agenda_ring_is_due(uint64_t now)
{
	if (!agenda_get(ring_due) &&
	    gcpreload_elapsed(agenda_get(ring_ns), now) >= CHECK_EVERY_NS) {
		agenda_set(ring_ns, now);
		agenda_set(ring_due, gcpreload_engine_lacks_ring(now));
	}
	return agenda_get(ring_due);
}

enum gcpreload_acted agenda_at_wait(void)
{
	uint64_t now = gcpreload_now_ns();
	enum gcpreload_acted acted = GCPRELOAD_ACTED_LOOKED;

	agenda_look(now);
	if (agenda_ring_is_due(now)) {
		agenda_set(ring_due, false);
		gcpreload_engine_make_ring();
	}
	if (agenda_is_due(now)) {
		control_before_acting(now);
		acted = agenda_do(now);
	} else if (agenda_done() &&
		   gcpreload_elapsed(agenda_get(checked_ns), now) >= CHECK_EVERY_NS) {
		agenda_set(checked_ns, now);
		gcpreload_engine_check();
	}
	return acted == GCPRELOAD_ACTED_LOOKED ? agenda_take_command(now) : acted;
}

void agenda_tick(uint64_t now)
{
	agenda_look(now);
	if (!((agenda_is_due(now) && agenda_get(anywhere)) || control_pending(now) ||
	      agenda_ring_is_due(now)))
		return;
	if (!agenda_get(soon)) {
		agenda_set(soon_ns, now);
		agenda_set(soon, gcpreload_engine_soon());
	} else if (gcpreload_elapsed(agenda_get(soon_ns), now) >= UNANSWERED_NS) {
		/* The main thread blocks in C, in a lock (gRPC's servers): here, where the GIL is
		 * held. A collection within one does nothing; freezing does. */
		agenda_at_wait();
	}
}

void agenda_act(void)
{
	agenda_set(soon, false);
	agenda_at_wait();
}

/* A process that waits on its sockets itself forks for jobs; one that nobody waits on in here is
 * for those who are forked. */
static bool agenda_makes_workers(void)
{
	return triggers && trigger_find(triggers, TRIGGER_AUTO) && !servers_any() &&
	       listeners_for_workers();
}

/* A fork server, Celery: nobody listens there. */
static bool agenda_forks_workers(void)
{
	return triggers && trigger_find(triggers, TRIGGER_AUTO) && gcpreload_engine_forks_workers();
}

void agenda_before_fork(void)
{
	bool asked = triggers && trigger_find(triggers, TRIGGER_FORK);

	agenda_set(forks, true);
	/* What forks there was before, and whether anybody waits on its sockets, is not known. */
	if (load_relaxed(&attached))
		return;
	if (!asked && !agenda_makes_workers() && !agenda_forks_workers())
		return;
	control_before_fork(gcpreload_now_ns());
	gcpreload_engine_prefork(asked ? "fork" : "auto: fork");
	if (asked)
		store_relaxed(&preforked, true);
	agenda_set(is_parent, true);
}

void agenda_before_c_fork(void)
{
	if (!agenda_makes_workers())
		return;
	control_before_fork(gcpreload_now_ns());
	gcpreload_engine_prefork_from_c("auto: fork");
}

bool agenda_is_parent(void)
{
	return agenda_get(is_parent);
}

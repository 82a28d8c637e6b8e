/* SPDX-License-Identifier: MIT */
/*
 * What is done to the collector, as the libc side (preload/) asks for it: no Python object crosses
 * this line.
 *
 * Every function keeps errno and a pending Python exception. "Any place": may be called from an
 * interposed libc call of any thread. "At a server's wait": only where the thread that armed the
 * listening socket is about to wait for it, because the GIL is taken and finalizers may run;
 * elsewhere that deadlocks with C code that waits under a mutex of its own. A function that
 * finds the GIL held already uses it.
 */
#ifndef GCPRELOAD_ENGINE_ENGINE_H
#define GCPRELOAD_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/layout.h"
#include "rules/settings.h"

/* What the engine tells the libc side. */
struct gcpreload_engine_hooks {
	/* After each collection, with the GIL, inside gc.callbacks: may look at the clock and ask
	 * for gcpreload_engine_soon. CLOCK_MONOTONIC ns. */
	void (*tick)(uint64_t now_ns);
	/* There as well, before tick: a process that nothing has shown to be ready has settled
	 * (engine/settled.h). */
	void (*settled)(void);
	/* What gcpreload_engine_soon asked for: the main thread, between two bytecodes, GIL held.
	 */
	void (*act)(void);
	/* os.fork() begins; no lock of the interpreter is taken yet. GIL held. */
	void (*before_fork)(void);
	/* The name of the service, 64 bytes with its end, and more about it. */
	struct gcpreload_service (*service)(char *name);
};

/* Before an interpreter is looked for. Both must live for ever; of the settings
 * only the mode changes. */
void gcpreload_engine_use(const struct gcpreload_settings *settings,
			  const struct gcpreload_engine_hooks *hooks);

/* What acting did. */
enum gcpreload_acted {
	GCPRELOAD_ACTED_NOT,	   /* not possible here; ask again at the next occasion */
	GCPRELOAD_ACTED_LOOKED,	   /* decided without a collection: observing, standing back */
	GCPRELOAD_ACTED_COLLECTED, /* a collection ran: the caller must not go on to block */
};

/* The mode that this process and its children begin with, by a command that is in force, and the
 * command's serial; NOT_TOLD: by the settings, whose mode may have changed since. Any place; counts
 * where the process is to act next. */
#define GCPRELOAD_ENGINE_NOT_TOLD (-1)
void gcpreload_engine_told(int mode, uint64_t serial);

/* The application is ready: collect, freeze, thresholds, as the settings say. At a server's wait
 * or with the GIL. fired: what showed it, a text that stays. */
enum gcpreload_acted gcpreload_engine_ready(const char *fired);

/* The application is ready, but serves with the interpreter's own collector until due_ns. At a
 * server's wait or with the GIL. */
enum gcpreload_acted gcpreload_engine_baseline(const char *fired, uint64_t due_ns);

/* Whether the code that calls os.fork() makes workers by it though nobody listens here, with a heap
 * that is worth a freeze. GIL held, where os.fork() begins. */
bool gcpreload_engine_forks_workers(void);

/* The process is about to fork its workers: collect and freeze, so that they share the pages;
 * again when much has come since. GIL held, before the interpreter's fork locks. */
void gcpreload_engine_prefork(const char *fired);

/* The same for a host that forks from C: at its fork(). Does nothing in a thread that runs
 * Python code (that is os.fork or subprocess). */
void gcpreload_engine_prefork_from_c(const char *fired);

/* Has hooks->act called by the main thread soon. Any place. Returns false if it cannot. */
bool gcpreload_engine_soon(void);

/* Mode idle: chances to collect. Whether they are of use now; any place, one load. */
bool gcpreload_engine_wants_chances(void);

/* How often a server's waits are worth a look now, ns. Any place. */
uint64_t gcpreload_engine_looks_every(void);

/* From when on something may be due there, CLOCK_MONOTONIC ns; UINT64_MAX: chances are of no use.
 * Any place, one load. */
uint64_t gcpreload_engine_expects_ns(void);

/* Whether what we did is still in force. At a server's wait, once a second. */
void gcpreload_engine_check(void);

/* Whether this process's ring is missing, and making one may succeed. Any place, once a second. */
bool gcpreload_engine_lacks_ring(uint64_t now_ns);

/* Makes it. At a server's wait or with the GIL. */
void gcpreload_engine_make_ring(void);

/* Whether memory or descriptors have grown so far that a collection is due, in any mode that tunes.
 * At a server's wait; without the GIL. Then as GCPRELOAD_CHANCE_DUE. */
bool gcpreload_engine_grown(void);

enum gcpreload_chance {
	GCPRELOAD_CHANCE_NONE,
	GCPRELOAD_CHANCE_DUE,  /* a collection is due, and nothing else is at work here */
	GCPRELOAD_CHANCE_BUSY, /* other threads are at work: they may soon be done */
};

/* At a server's wait that would block. DUE: the caller looks whether there is work, without
 * waiting, and if not calls the next. BUSY: the caller may wait a little, and if nothing came
 * ask again (said forty times a second at most, but to who asks again). */
enum gcpreload_chance gcpreload_engine_chance(bool again);

/* At a server's wait with nothing to do. endless: the wait has no time-out and must not return
 * empty; then only an event loop that can be woken is given the collection as its task. Returns
 * ACTED_COLLECTED where the caller must not go on to block. */
enum gcpreload_acted gcpreload_engine_collect(bool endless);

/* After that: whether the wait then had something at once. The same thread. */
void gcpreload_engine_woke(bool at_once);

/* gcpreload_attach: the interpreter that runs is about to be observed, for the first time or
 * again. Before that. GIL held. */
void gcpreload_engine_attaches(void);

/* It is: makes the ring. Returns 0, also where the settings want none, or -errno. GIL held. */
int gcpreload_engine_attached(void);

/* gcpreload_detach: nothing of ours stays in the collector, the ring ends, and nothing comes in any
 * more. Returns 0, or -EBUSY where it is called from within what we do. GIL held. */
int gcpreload_engine_detach(void);

/* A command that came through the control file: "mode=off", "mode=observe", "mode=freeze",
 * "mode=idle", "mode=concurrent", "mode=default" (of the settings), "thaw" or "ready". At a
 * server's wait or with the GIL. Returns ACTED_NOT where it could not be tried. serial is written
 * into the header as the answer. */
enum gcpreload_acted gcpreload_engine_command(const char *verb, uint64_t serial);

#endif

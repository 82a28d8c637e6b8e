/* SPDX-License-Identifier: MIT */
/*
 * The Python side, as the libc side (preload/) sees it: no Python object crosses this line.
 *
 * Every function keeps errno and a pending Python exception. "Any place": may be called from an
 * interposed libc call of any thread. "At a server's wait": only where the thread that armed the
 * listening socket is about to wait for it, because the GIL is taken and finalizers may run;
 * elsewhere that deadlocks with C code that waits under a mutex of its own. A function that
 * finds the GIL held already uses it.
 */
#ifndef GCPRELOAD_INJECT_INJECT_H
#define GCPRELOAD_INJECT_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/layout.h"
#include "rules/settings.h"

/* What the engine tells the libc side. Set once, at the start. */
struct gcpreload_hooks {
	/* After each collection, with the GIL, inside gc.callbacks: may look at the clock and ask
	 * for gcpreload_inject_soon. CLOCK_MONOTONIC ns. */
	void (*tick)(uint64_t now_ns);
	/* What gcpreload_inject_soon asked for: the main thread, between two bytecodes, GIL held.
	 */
	void (*act)(void);
	/* os.fork() begins; no lock of the interpreter is taken yet. GIL held. */
	void (*before_fork)(void);
};

/* Before any other function of this file. Both must live for ever, and are not changed. */
void gcpreload_inject_use(const struct gcpreload_settings *settings,
			  const struct gcpreload_hooks *hooks);

enum gcpreload_python {
	GCPRELOAD_NO_PYTHON,	      /* nothing of CPython in this process */
	GCPRELOAD_PYTHON_UNSUPPORTED, /* too old, too new, or not what we know */
	GCPRELOAD_PYTHON_FOUND,	      /* our wrapper is in place; the interpreter has not begun */
};

/* For the constructor: is CPython in the process, and if so, will it call us when it starts?
 * One look at a weak symbol where it is not. */
enum gcpreload_python gcpreload_inject_install(void);

/* For Py_Initialize of a libpython that was loaded after the program's start: installs as above.
 * handle: of dlopen, where the interpreter's symbols are found. */
enum gcpreload_python gcpreload_inject_starting(void *handle);

/* For an interpreter that began without us: attaches to it now; its counts are "since attach".
 * At a server's wait. Returns whether it is attached. */
bool gcpreload_inject_late(void *handle);

/* How a thread stands to Python. */
enum gcpreload_gil {
	GCPRELOAD_GIL_FOREIGN,	/* no thread state, or Python is not up: never act */
	GCPRELOAD_GIL_HELD,	/* this thread holds the GIL */
	GCPRELOAD_GIL_RELEASED, /* this thread has a thread state and may take the GIL */
	GCPRELOAD_GIL_UNKNOWN,	/* it may hold it under another thread state: do not act now */
};

/* Any place. PyGILState_Check is not asked: it says "held" where it is not. */
enum gcpreload_gil gcpreload_inject_gil(void);

/* What acting did. */
enum gcpreload_acted {
	GCPRELOAD_ACTED_NOT,	   /* not possible here; ask again at the next occasion */
	GCPRELOAD_ACTED_LOOKED,	   /* decided without a collection: observing, standing back */
	GCPRELOAD_ACTED_COLLECTED, /* a collection ran: the caller must not go on to block */
};

/* The application is ready: collect, freeze, thresholds, as the settings say. At a server's wait
 * or with the GIL. fired: what showed it, a text that stays. */
enum gcpreload_acted gcpreload_inject_ready(const char *fired);

/* The application is ready, but serves with the interpreter's own collector until due_ns. At a
 * server's wait or with the GIL. */
enum gcpreload_acted gcpreload_inject_baseline(const char *fired, uint64_t due_ns);

/* The process is about to fork its workers: collect and freeze, so that they share the pages;
 * again when much has come since. GIL held, before the interpreter's fork locks. */
void gcpreload_inject_prefork(const char *fired);

/* The same for a host that forks from C: at its fork(). Does nothing in a thread that runs
 * Python code (that is os.fork or subprocess). */
void gcpreload_inject_prefork_from_c(const char *fired);

/* Has hooks->act called by the main thread soon. Any place. Returns false if it cannot. */
bool gcpreload_inject_soon(void);

/* A server's wait begins, and has ended, in which the functions of this file may be called. Between
 * them nothing else of the program's runs in this thread, but for what a collection runs.
 * interpreter: the call is one of the interpreter's own modules'. */
void gcpreload_inject_wait_begins(bool interpreter);

/* How the wait must come back, if something was collected in it. */
enum gcpreload_after {
	GCPRELOAD_AFTER_GO_ON, /* not at all: go on for the time that is left */
	GCPRELOAD_AFTER_EMPTY, /* as if its time had passed: a loop that looks at its queue then */
	GCPRELOAD_AFTER_INTERRUPTED, /* as if a signal had come */
};

/* restarts: the call is one that SA_RESTART makes again (accept(2)). */
enum gcpreload_after gcpreload_inject_wait_ends(bool restarts);

/* In a forked child: what a wait of its parent's had begun is not the child's. */
void gcpreload_inject_wait_forked(void);

/* Whether this is the only thread of the process, of any kind. Any place. */
bool gcpreload_inject_is_single_threaded(void);

/* Some code of the interpreter's, or NULL before it is known. Any place. */
const void *gcpreload_inject_code(void);

/* Whether a module is in sys.modules and has finished importing. At a server's wait or with the
 * GIL. */
bool gcpreload_inject_imported(const char *module);

/* How many modules there are, or -1. At a server's wait or with the GIL. */
int64_t gcpreload_inject_modules(void);

/* Mode idle: chances to collect. Whether they are of use now; any place, one load. */
bool gcpreload_inject_wants_chances(void);

/* How often a server's waits are worth a look now, ns. Any place. */
uint64_t gcpreload_inject_looks_every(void);

/* Whether what we did is still in force. At a server's wait, once a second. */
void gcpreload_inject_check(void);

/* Whether memory or descriptors have grown so far that a collection is due, in any mode that tunes.
 * At a server's wait; without the GIL. Then as GCPRELOAD_CHANCE_DUE. */
bool gcpreload_inject_grown(void);

enum gcpreload_chance {
	GCPRELOAD_CHANCE_NONE,
	GCPRELOAD_CHANCE_DUE,  /* a collection is due, and nothing else is at work here */
	GCPRELOAD_CHANCE_BUSY, /* other threads are at work: they may soon be done */
};

/* At a server's wait that would block. DUE: the caller looks whether there is work, without
 * waiting, and if not calls the next. BUSY: the caller may wait a little, and if nothing came
 * ask again (said forty times a second at most, but to who asks again). */
enum gcpreload_chance gcpreload_inject_due(bool again);

/* At a server's wait with nothing to do. endless: the wait has no time-out and must not return
 * empty; then only an event loop that can be woken is given the collection as its task. Returns
 * ACTED_COLLECTED where the caller must not go on to block. */
enum gcpreload_acted gcpreload_inject_collect(bool endless);

/* After that: whether the wait then had something at once. The same thread. */
void gcpreload_inject_woke(bool at_once);

/* A command that came through the control file: "mode=off", "mode=observe", "mode=freeze",
 * "mode=idle", "thaw" or "ready". At a server's wait or with the GIL. Returns ACTED_NOT where it
 * could not be tried. serial is written into the header as the answer. */
enum gcpreload_acted gcpreload_inject_command(const char *verb, uint64_t serial);

#endif

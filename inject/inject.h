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

/* For an interpreter that runs already, in the thread that is to attach: whether it may be done
 * here. Nothing is done. handle: of dlopen, or RTLD_DEFAULT. Returns 0, or
 * -ENOTSUP: another Python than is supported, or one without a GIL
 * -ENOSYS: a function of its C API is missing
 * -EALREADY: another copy of this library is there
 * -ESHUTDOWN: it is not up, or ends
 * -EWOULDBLOCK: this thread does not hold the GIL
 * -EXDEV: this thread is in a sub-interpreter. */
int gcpreload_inject_may_attach(void *handle);

/* The last three of these, for what is attached. */
int gcpreload_inject_may_act(void);

/* After that: observes it from now on. Returns whether it does. */
bool gcpreload_inject_attach(void);

/* How a thread stands to Python. */
enum gcpreload_gil {
	GCPRELOAD_GIL_FOREIGN,	/* no thread state, or Python is not up: never act */
	GCPRELOAD_GIL_HELD,	/* this thread holds the GIL */
	GCPRELOAD_GIL_RELEASED, /* this thread has a thread state and may take the GIL */
	GCPRELOAD_GIL_UNKNOWN,	/* it may hold it under another thread state: do not act now */
};

/* Any place. PyGILState_Check is not asked: it says "held" where it is not. */
enum gcpreload_gil gcpreload_inject_gil(void);

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

/* A number for the Python calls that led to this wait, the same each time it is come to by the same
 * ones; 0: none did, or this thread must not act. Takes the GIL: only between the two above. */
uint64_t gcpreload_inject_wait_path(void);

/* In a forked child: what a wait of its parent's had begun is not the child's. */
void gcpreload_inject_wait_forked(void);

/* Some code of the interpreter's, or NULL before it is known. Any place. */
const void *gcpreload_inject_code(void);

/* Whether a module is in sys.modules and has finished importing. At a server's wait or with the
 * GIL. */
bool gcpreload_inject_imported(const char *module);

/* How many modules there are, or -1. At a server's wait or with the GIL. */
int64_t gcpreload_inject_modules(void);

#endif

/* SPDX-License-Identifier: MIT */
/* gc.callbacks -> the ring: every collection of every interpreter that can be reached. */
#ifndef GCPRELOAD_INJECT_OBSERVER_H
#define GCPRELOAD_INJECT_OBSERVER_H

#include <stdbool.h>

#include "inject/pyapi.h"
#include "ring/layout.h"
#include "ring/writer.h"

/* Puts the observer on gc.callbacks of the current interpreter, if none of ours is there. gc:
 * its gc module. Returns 0 or -errno, with no exception left. GIL held. */
int observer_attach(PyObject *gc);

/* Takes it off the current interpreter's list. GIL held; no exception is left. */
void observer_detach(PyObject *gc);

/* Whether another copy of this library, under another name, is on the list. GIL held; no exception
 * is left. */
bool observer_of_another_copy(PyObject *gc);

/* Whether any interpreter is observed. */
bool observer_any(void);

/* A new runtime begins in this process (Py_Initialize after Py_Finalize): what was of the old
 * one is forgotten. */
void observer_forget(void);

/* What the calling thread's next collections are to be called; returns what it was. */
enum gcpreload_cause observer_cause(enum gcpreload_cause cause);

/* Whether gc.collect() is told from automatic collections: not where the interpreter gives no table
 * of gc's functions (PEP 793). */
bool observer_marks_explicit(void);

/* Whether the hooks at_start and at_stop are called, which costs a call in each collection. who: a
 * bit of the engine's; they are called while one is set. */
void observer_ask_at_start(unsigned who, bool yes);

/* The next collection is idle, and this is what the other threads have used of the CPU so far: if
 * they use more during it, it was not idle after all. ns, from machine_cpu_of_others. */
void observer_idle_from(uint64_t others_ns);

#endif

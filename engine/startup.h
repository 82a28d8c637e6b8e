/* SPDX-License-Identifier: MIT */
/*
 * GCPRELOAD_STARTUP_GC=0: until the application is ready, automatic collections find nothing to
 * do, because gc.freeze() in their "start" takes everything out of their sight. The collector
 * stays enabled with its own thresholds, which applications read, and goes on ticking, which is
 * the only clock there is. What collects on purpose finds all of it again.
 *
 * All of this with the GIL held. No errors: what cannot be done leaves the interpreter's own way.
 */
#ifndef GCPRELOAD_ENGINE_STARTUP_H
#define GCPRELOAD_ENGINE_STARTUP_H

#include <stdbool.h>
#include <stdint.h>

#include "inject/pyapi.h"
#include "ring/layout.h"

/* Whether it is on. */
bool startup_empties(void);

/* A process begins that is not ready yet: on, if the settings ask for it. */
void startup_begin(void);

/* In gc.callbacks, at "start" of a collection of the main interpreter. */
void startup_at_start(enum gcpreload_cause cause);

/* At "stop", now and then: the guard on memory, and the deadline. */
void startup_tick(uint64_t now_ns);

/* The interpreter's own way from now on: unfreezes what was frozen for this. gc: the module. */
void startup_end(PyObject *gc);

#endif

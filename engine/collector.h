/* SPDX-License-Identifier: MIT */
/*
 * The gc module of the interpreter, as C functions. GIL held, in the main interpreter; what
 * fails in Python returns -1 or false and leaves no exception.
 */
#ifndef GCPRELOAD_ENGINE_COLLECTOR_H
#define GCPRELOAD_ENGINE_COLLECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "inject/pyapi.h"
#include "ring/layout.h"

/* Calls gc.METHOD(); returns its result as a number (bool: 0 or 1, None: 0), or -1. */
int64_t collector_ask(PyObject *gc, const char *method);

/* About how many objects were allocated since the last freeze or full collection, and not freed by
 * then: from gc.get_count(), which walks nothing. -1 on failure. */
int64_t collector_allocated(PyObject *gc);

/* gc.get_count(). */
bool collector_counts(PyObject *gc, int64_t counts[GCPRELOAD_GENERATIONS]);

/* gc.collect(generation), called cause in the ring. Runs finalizers and weakref callbacks.
 * Returns what was found unreachable, or -1. */
int64_t collector_collect(PyObject *gc, int generation, enum gcpreload_cause cause);

bool collector_thresholds(PyObject *gc, int32_t thresholds[GCPRELOAD_GENERATIONS]);
bool collector_set_thresholds(PyObject *gc, const int32_t thresholds[GCPRELOAD_GENERATIONS]);

/* atexit.register(function); function is called without arguments. */
bool collector_at_exit(struct PyMethodDef *function);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Mode concurrent: what engine/tiers decides is done here, in gc.callbacks alone, and at waits of
 * the server where there are any. GIL held, main interpreter; gc is the gc module.
 *
 *	"start" of an automatic collection: garbage of the last mark is given to it
 *	"stop":	 its cost is learned; survivors are frozen where it is time; the marker is looked
 *at, or begun; thresholds for the next one a wait:	 the same, and generation 1, in longer steps
 *	no mark is possible, and memory grows: a full collection, as the guard of the other modes
 */
#ifndef GCPRELOAD_ENGINE_CONCURRENT_H
#define GCPRELOAD_ENGINE_CONCURRENT_H

#include <stdbool.h>
#include <stdint.h>

#include "inject/pyapi.h"
#include "ring/writer.h"

/* The process was tuned just now (collected, frozen) by a collection that took ready_ns. Returns
 * NULL, or why the mode cannot be used here: a text that stays. */
const char *concurrent_begin(PyObject *gc, uint64_t ready_ns);

/* Whether it is in force. No GIL. */
bool concurrent_is_on(void);

/* In gc.callbacks, at "start" and "stop" of each collection. */
void concurrent_at_start(unsigned generation, enum gcpreload_cause cause);
void concurrent_at_stop(const struct gcpreload_event *event);

/* A server's wait with nothing to do: whether something is, and then doing it. */
bool concurrent_is_due(PyObject *gc, uint64_t now_ns);
void concurrent_collect(PyObject *gc);

/* Between two bytecodes, where concurrent_at_stop has asked for it. */
void concurrent_act(PyObject *gc);

/* A second interpreter begins. */
void concurrent_subinterpreter(void);

/* This process is about to become another program, which would know nothing of a marker. */
void concurrent_exec(void);

/* A forked child, or a new runtime, has nothing of it. */
void concurrent_forget(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What is decided, done: engine/tiers for modes concurrent and idle, engine/pacer for mode freeze.
 * In gc.callbacks, and at waits of the server where there are any. GIL held, in the main
 * interpreter, unless said otherwise; gc is the gc module.
 *
 *	"start" of an automatic collection: garbage of the last mark is given to it
 *	"stop": its cost is learned; survivors are frozen where it is time; the marker is looked at,
 *		or begun; thresholds for the next one
 *	a wait: generation 1, or a full collection where there are no marks; slices of the sweep
 */
#ifndef GCPRELOAD_ENGINE_PACING_H
#define GCPRELOAD_ENGINE_PACING_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/pacer.h"
#include "engine/reach.h"
#include "engine/tiers.h"
#include "inject/pyapi.h"
#include "ring/writer.h"

struct pacing {
	struct pacer pacer;    /* mode freeze */
	struct tiers tiers;    /* the others */
	bool on;	       /* tiers are in force */
	bool marks;	       /* and old garbage is found by marks; shared */
	bool ending;	       /* of a mode whose marker was not reaped yet */
	struct reach reach;    /* where it is not */
	bool counts;	       /* young objects can be counted */
	enum tiers_wait due;   /* at this wait */
	uint64_t young, swept; /* that the collection looks at which runs */
	uint64_t cpu_ns;       /* of its thread, when it began */
	uint64_t recount_ns;   /* when old objects were last counted */
	bool mark_due;	       /* at a wait, after what is young was collected */
	uint32_t mark_why;
	const char *word; /* that the status was told */
};

extern struct pacing pacing;

/* This process was tuned just now, by a collection that took ready_ns. Returns NULL, or why mode
 * concurrent cannot be: a text that stays. */
const char *pacing_begin(PyObject *gc, uint64_t ready_ns);

/* In gc.callbacks, at "start" and "stop" of each collection. */
void pacing_at_start(unsigned generation, enum gcpreload_cause cause);
void pacing_at_stop(const struct gcpreload_event *event);

/* After it, once a millisecond at most. Asks for gcpreload_engine_soon where pacing_act is to be
 * called. */
void pacing_observed(const struct gcpreload_event *event, uint64_t now_ns);

/* Between two bytecodes: in the middle of a request. */
void pacing_act(PyObject *gc);

/* A server's wait with nothing to do: whether something is, and then doing it. */
bool pacing_is_due(PyObject *gc, uint64_t now_ns);
void pacing_collect(PyObject *gc);

/* The full collection that the guard wants. */
void pacing_guard(PyObject *gc);

/* Gives the interpreter its thresholds, and tells the ring what was come to. */
void pacing_settle(PyObject *gc);

/* A second interpreter begins. */
void pacing_subinterpreter(void);

/* This process is about to become another program, which would know nothing of a marker. */
void pacing_exec(void);

/* A forked child, or a new runtime, has nothing of it. */
void pacing_forget(void);

#endif

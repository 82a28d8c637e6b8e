/* SPDX-License-Identifier: MIT */
/* The pacer's decisions, applied to the interpreter and told to the ring, in every mode that tunes.
 * GIL held, in the main interpreter, unless said otherwise; gc is the gc module. */
#ifndef GCPRELOAD_ENGINE_PACING_H
#define GCPRELOAD_ENGINE_PACING_H

#include "base/machine.h"
#include "engine/pacer.h"
#include "inject/pyapi.h"
#include "ring/writer.h"

/* A request that leaves a descriptor in a cycle may come a thousand times a second. */
#define PACING_GROWTH_EVERY_NS 20000000ull

struct pacing {
	struct pacer pacer;
	bool in_force;	    /* threshold0 is ours to adapt */
	struct growth base; /* what there was when all garbage was gone; shared */
	uint64_t grown_ns;  /* when it was last compared with that; shared */
};

extern struct pacing pacing;

/* This process was tuned just now, by a collection that took ready_ns. */
void pacing_begin(PyObject *gc, uint64_t ready_ns);

/* All garbage is gone now: growth is counted from here. */
void pacing_begin_growth(void);

/* Whether memory or descriptors have grown so far from there that a collection is due. No GIL. */
bool pacing_is_due(const struct growth *now);

/* Whether memory or descriptors have grown so far that a collection is due. No GIL; four system
 * calls, at most each 20 ms. */
bool pacing_has_grown(uint64_t now_ns);

/* Tells the pacer of memory limit and CPU quota, once a second. */
void pacing_look_at_machine(uint64_t now_ns);

/* Gives the interpreter the thresholds that the pacer wants. */
void pacing_set_thresholds(PyObject *gc);

/* The same, and tells the ring what the pacer has come to. */
void pacing_settle(PyObject *gc);

/* A collection has ended, inside gc.callbacks. Asks for gcpreload_engine_soon where guard_act is
 * to be called. */
void pacing_observed(const struct gcpreload_event *event, uint64_t now_ns);

#endif

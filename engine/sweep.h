/* SPDX-License-Identifier: MIT */
/*
 * Gives what a mark has found back to the interpreter's young generation, where its own next
 * collection proves that it is garbage, runs weakref callbacks and finalizers, and frees it. What
 * has come to life again in the meantime survives, by the interpreter's rules. A component is given
 * whole: of a part of it the interpreter sees references from outside, and keeps it.
 *
 * GIL held, main interpreter; in gc.callbacks at "start", before the collector looks at its lists,
 * or outside of a collection.
 */
#ifndef GCPRELOAD_ENGINE_SWEEP_H
#define GCPRELOAD_ENGINE_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/graph.h"

struct sweep {
	const struct graph_garbage *garbage;
	uint64_t at;	  /* word of the next component */
	uint64_t swept;	  /* objects given back */
	uint64_t skipped; /* and not: they are gone, or something else now */
};

/* The garbage must stay until the end. */
void sweep_take(struct sweep *sweep, const struct graph_garbage *garbage);

/* Objects of the next component; 0: there is none. */
uint64_t sweep_next(const struct sweep *sweep);

/* Objects that are left. */
uint64_t sweep_left(const struct sweep *sweep);

/* Gives back whole components, together at most so many objects; a first one that is larger only
 * where oversize. Returns how many objects were given back. Allocates nothing. */
uint64_t sweep_some(struct sweep *sweep, uint64_t most, bool oversize);

#endif

/* SPDX-License-Identifier: MIT */
/* What bounds the memory in every mode that tunes: full collections, of what is frozen too where
 * that must be, when memory or descriptors have grown. GIL held, unless said otherwise; gc is the
 * gc module. */
#ifndef GCPRELOAD_ENGINE_GUARD_H
#define GCPRELOAD_ENGINE_GUARD_H

#include "base/machine.h"
#include "inject/pyapi.h"
#include "ring/layout.h"

/* A request that leaves a descriptor in a cycle may come a thousand times a second. */
#define GUARD_EVERY_NS 20000000ull

struct guard {
	enum gcpreload_guard why;
	bool full;	    /* a full collection is wanted */
	bool unguarded;	    /* and nobody can make it: as the interpreter would have it */
	uint64_t since_ns;  /* it is wanted */
	struct growth base; /* what there was when all garbage was gone; shared */
	uint64_t looked_ns; /* when it was last compared with that; shared */
};

extern struct guard guard_state;

/* This process was tuned just now. */
void guard_begin(void);

/* All garbage is gone now: growth is counted from here. now: NULL, or what is there. */
void guard_begin_growth(const struct growth *now);
struct growth guard_base(void);

/* Whether memory or descriptors have grown so far from there that a collection is due. No GIL; four
 * system calls, at most each 20 ms. */
bool guard_has_grown(uint64_t now_ns);

/* A full collection is wanted. */
void guard_ask(enum gcpreload_guard why, uint64_t now_ns);

/* The memory limit is near, or it is not any more. */
void guard_near_limit(bool near, uint64_t now_ns);

/* A collection of the interpreter's has ended: ours, if one is wanted, seems to have no place. */
void guard_automatic(uint64_t now_ns);

/* Makes it; a second one with what is frozen if the first did not help, or at once where all that
 * is old is frozen. Returns how many objects are not frozen after the second one; -1: there was
 * none. */
int64_t guard_collect(PyObject *gc, bool all_is_frozen);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * One mark from its beginning to its end: the marker (engine/marker), what is freed meanwhile
 * (freed), and the sweep of what was found (sweep); told to the pacer (tiers) and to the ring.
 * GIL held, main interpreter; gc is the gc module. No Python runs in here but what gc.freeze() is.
 */
#ifndef GCPRELOAD_ENGINE_MARKING_H
#define GCPRELOAD_ENGINE_MARKING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/machine.h"
#include "engine/tiers.h"
#include "inject/pyapi.h"

/* Compares the objects of this interpreter with what a mark relies on, and freezes everything.
 * Returns NULL, or why marks are not possible here: a text that stays. */
const char *marking_find(PyObject *gc);

/* The same for nothing but to count young objects. */
bool marking_can_count(PyObject *gc);

/* Objects in the young generation, at most so many. */
uint64_t marking_count_young(uint64_t most);

/* Freezes everything and begins a mark; outside of the collector's own work. now: what memory and
 * descriptors there are. What hinders it is told to tiers, which waits before it asks again. */
void marking_begin(PyObject *gc, struct tiers *tiers, uint64_t now_ns, const struct growth *now,
		   uint32_t why);

/* Whether the marker has ended; and the end of a sweep. */
void marking_look(struct tiers *tiers, uint64_t now_ns);

/* A marker runs that takes too long for this program: why says for what. */
void marking_give_up(struct tiers *tiers, uint64_t now_ns, const char *why);

/* A cgroup whose CPU quota is used up needs it for the program: the marker waits. False: its memory
 * is used up nearly, and the marker's copies of pages are a part of that. Some twenty system calls,
 * ten times a second at most, while a marker runs. */
bool marking_mind_limits(const struct tiers *tiers, uint64_t now_ns);

/* Gives whole components of what was found back to the young generation: at most so many objects
 * together, or one larger component where oversize. Returns how many objects. */
uint64_t marking_slice(struct tiers *tiers, uint64_t most, bool oversize);

/* Nothing of a mark is left: a full collection has made it needless, or the mode has ended. */
void marking_over(void);

/* The same, and the marker is gone when it returns, in a moment. */
void marking_end(void);

/* A forked child, or a new runtime, has no mark. */
void marking_forget(void);

/* A second interpreter begins, with a GIL of its own maybe: no mark in this process any more. */
void marking_stop(void);

#endif

/* SPDX-License-Identifier: MIT */
/* How much memory there is now, for engine/tiers and the guard, in modes concurrent and idle. GIL
 * held, main interpreter; gc is the gc module. */
#ifndef GCPRELOAD_ENGINE_MEMORY_H
#define GCPRELOAD_ENGINE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/tiers.h"
#include "inject/pyapi.h"

/* The mode begins. */
void memory_begin(void);

/* Looks, each 20 ms at most; asks for the guard where it must. Whether a mark should begin: *why
 * says for what. */
bool memory_look(struct tiers *tiers, uint64_t now_ns, uint32_t *why);

/* Begins one. */
void memory_mark(PyObject *gc, struct tiers *tiers, uint64_t now_ns, uint32_t why);

/* A full collection has ended, of what is frozen, too, or not. */
void memory_all_collected(struct tiers *tiers, uint64_t now_ns);
void memory_full(struct tiers *tiers, uint64_t now_ns, uint64_t young, uint64_t collected,
		 uint64_t cpu_ns);

/* Until when the CPU quota is left to the program. */
uint64_t memory_paused_until(void);

#endif

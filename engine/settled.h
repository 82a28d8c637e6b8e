/* SPDX-License-Identifier: MIT */
/*
 * Whether a process has settled: it imports nothing more, its heap has stopped growing, and full
 * collections find next to nothing. That shows that a process is ready which has no listening
 * socket: a worker on a queue, a consumer, a scheduler. Pure: no clock, no Python, no system call.
 * Times are ns, memory is bytes.
 */
#ifndef GCPRELOAD_ENGINE_SETTLED_H
#define GCPRELOAD_ENGINE_SETTLED_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: nothing is known yet. */
struct settled {
	uint64_t looked_ns; /* 0: never */
	uint64_t quiet_ns;  /* nothing has changed since */
	uint32_t quiet;	    /* looks since then */
	uint32_t busy;	    /* looks before */
	uint64_t base, top; /* resident memory then, and the most since */
	int64_t modules;
};

/* An automatic full collection has ended. */
void settled_full(struct settled *settled, uint64_t now, uint64_t collected, uint64_t took_ns);

/* After an automatic collection: whether a look is due. */
bool settled_is_due(const struct settled *settled, uint64_t now);

/* The look: resident memory (0: unknown) and the number of modules (-1: unknown). Returns whether
 * it has settled; after that it begins anew. */
bool settled_look(struct settled *settled, uint64_t now, uint64_t resident, int64_t modules);

#endif

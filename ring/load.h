/* SPDX-License-Identifier: MIT */
/* What a process does besides collecting: processor time and connections of each period. No clock,
 * no system call; the writer asks for these and hands them in. */
#ifndef GCPRELOAD_RING_LOAD_H
#define GCPRELOAD_RING_LOAD_H

#include "ring/layout.h"

/* What is known now: processor time and connections since the process began. */
struct ring_load_now {
	uint64_t now_ns;
	uint64_t cpu_ns;
	uint64_t accepted;
};

/* Adds what came since the last look to the present period of the header, and notes when its first
 * minutes are over. series: all of the process. One thread at a time. */
void ring_load_account(struct gcpreload_header *h, const struct gcpreload_series *series,
		       const struct ring_load_now *now);

#endif

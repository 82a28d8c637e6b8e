/* SPDX-License-Identifier: MIT */
/*
 * The totals of processes whose rings were removed: see layout.h. The folding half runs inside
 * the library, too: no allocation, no lock, no stdio stream, bounded work.
 */
#ifndef GCPRELOAD_RING_RETIRED_H
#define GCPRELOAD_RING_RETIRED_H

#include <stdbool.h>

#include "ring/layout.h"
#include "ring/names.h"
#include "ring/reader.h"

/* The service name of retired.other. */
#define GCPRELOAD_RETIRED_OTHER "(other)"

enum ring_fold {
	RING_FOLDED,   /* or it was already: now it may go */
	RING_NOT_OURS, /* not a ring, or no space is left: it may go, and nothing is kept of it */
	RING_STAYS,    /* it could not be folded now; the next sweeper may try again */
};

/* Adds the dead ring name, open and locked, to the totals of its service in the directory dir,
 * which the caller has locked, and marks it as folded. */
enum ring_fold ring_retired_fold(int dir, int ring, const char *name);

/* When a process's counting began, on CLOCK_REALTIME; 0 where its times cannot be. */
uint64_t gcpreload_attached_real_ns(const struct gcpreload_header *h);

/* Whether a ring that is open was folded: it is only to be unlinked, or is already. */
bool gcpreload_retired_has(int ring);

/* Opens file i of GCPRELOAD_RETIRED_FILES below the directory dir; its series are read, and it is
 * closed, as a ring's. Returns 0, -ENOENT where there is none, or another -errno for what is not
 * to be trusted. */
int gcpreload_retired_open(struct gcpreload_reader *reader, struct gcpreload_retired *retired,
			   int dir, unsigned i);

#endif

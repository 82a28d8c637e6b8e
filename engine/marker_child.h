/* SPDX-License-Identifier: MIT */
/* What the marker does in its own process, between clone(2) and its end: confine itself, compute,
 * say so. */
#ifndef GCPRELOAD_ENGINE_MARKER_CHILD_H
#define GCPRELOAD_ENGINE_MARKER_CHILD_H

#include <stdint.h>

#include "engine/graph.h"

/* Shared by the two processes; written by the child but for stop. */
struct marker_shared {
	uint32_t stop;	    /* shared: the parent wants it to end */
	uint32_t pause;	    /* shared: and here, to wait */
	uint32_t done;	    /* shared, written last: 1, or 2 where it failed with error */
	int32_t error;	    /* errno */
	uint64_t cpu_ns;    /* of the child */
	uint64_t ended_ns;  /* CLOCK_MONOTONIC */
	const char *failed; /* what failed: a text of the parent's, too */
	struct graph_garbage garbage;
};

struct marker_task {
	struct marker_shared *shared;
	struct graph_layout layout;
	const struct graph_head *permanent, *after; /* of graph_find_garbage */
	int32_t parent;
	uint32_t cpu_seconds; /* after that the kernel ends it */
};

/* For clone(2), on a stack of its own; task is a struct marker_task. Does not return. */
int marker_child(void *task);

#endif

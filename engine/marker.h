/* SPDX-License-Identifier: MIT */
/*
 * The marker: a copy-on-write child of this process that looks for garbage in the permanent
 * generation (engine/graph), while the process goes on. It can do nothing but compute: made by
 * clone(2) with the table of descriptors shared, so that a connection that is closed meanwhile is
 * closed, and none is opened or closed by it; no signal reaches it, none is sent when it ends, and
 * waitpid() of the program does not see it; seccomp(2) kills it at any system call but those for
 * memory and its end. What becomes of it is of no consequence but to the mark.
 *
 * GIL held. No Python is called.
 */
#ifndef GCPRELOAD_ENGINE_MARKER_H
#define GCPRELOAD_ENGINE_MARKER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/graph.h"
#include "engine/layout.h"

/* Begins a mark; everything must be frozen. resident: bytes of this process. Returns 0, or -errno:
 * -EBUSY where one is out. */
int marker_begin(const struct layout *layout, uint64_t resident);

enum marker_is {
	MARKER_NONE,
	MARKER_RUNS,
	MARKER_DONE,   /* marker_result() */
	MARKER_FAILED, /* it ended by itself, took too long, or could not be confined */
};

/* One load while it runs, and a system call each 10 ms. */
enum marker_is marker_look(uint64_t now_ns);

/* Of a mark that is DONE; read-only, until marker_end(). */
const struct graph_garbage *marker_result(void);

/* Why it FAILED: a text that stays. */
const char *marker_why(void);

/* Of a mark that is DONE, ns: its processor time, and the time from the fork to its end. */
uint64_t marker_cpu_ns(void);
uint64_t marker_took_ns(void);

/* Whether there is no child of ours: it takes a while to give its memory back. A system call. */
bool marker_gone(void);

/* It waits, until it is told not to. */
void marker_pause(bool yes);

/* Away with it, and its result. Does not wait for it, but where at_exit: then it is gone, so that
 * nobody is left with a child that he does not know. */
void marker_end(bool at_exit);

/* A forked child has none. */
void marker_forget(void);

/* Stops it at once: this process is about to become another program. Any thread. */
void marker_stop(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Calls a function on the main thread of another process, from outside, and puts the thread back to
 * where it was. Whatever becomes of us meanwhile, the thread gets there by itself: see
 * signal_frame.h.
 */
#ifndef GCPRELOAD_CLI_ATTACH_REMOTE_CALL_H
#define GCPRELOAD_CLI_ATTACH_REMOTE_CALL_H

#include <stdint.h>

#include "cli/attach_target.h"

struct remote_call {
	uint64_t function; /* 0: the system call with that number */
	uint64_t number;
	uint64_t arguments[6];
	int64_t result; /* of a system call: as the kernel gives it */
};

/* Waits for a moment in which it is safe, until deadline (CLOCK_MONOTONIC, nanoseconds). The
 * function must take no lock that a thread may hold in a system call, or in the interpreter's loop.
 * Returns 0; or -ETIMEDOUT: there was no such moment; or -errno. */
int remote_call(const struct attach_target *t, struct remote_call *call, uint64_t deadline);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The one clock of the library: libc's own. clock_gettime() may be another preloaded library's,
 * which shows the program another time (libfaketime), and not even the same one everywhere: not in
 * the waits that it stands in front of. What was due by the one time never came by the other, and
 * rings of yesterday were swept as a year old.
 */
#ifndef GCPRELOAD_BASE_CLOCK_H
#define GCPRELOAD_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/shared.h"

/* clock_gettime until preload/ knows better, which writes it once; read by any thread. */
extern int (*gcpreload_clock)(clockid_t, struct timespec *);

/* CLOCK_MONOTONIC is 21 ns, CLOCK_MONOTONIC_COARSE 3 ns and up to 4 ms behind it. */
static inline uint64_t gcpreload_clock_ns(clockid_t id)
{
	struct timespec ts;

	load_relaxed (&gcpreload_clock)(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* CLOCK_MONOTONIC, ns: the time of all that is measured and due. */
static inline uint64_t gcpreload_now_ns(void)
{
	return gcpreload_clock_ns(CLOCK_MONOTONIC);
}

/*
 * Clocks do step back: that of a virtual machine or of a process that was moved, and two reads by
 * two threads may be taken the wrong way round. An unsigned difference would then be 584 years.
 */

/* From one read to the next; 0 where the second one is not later. */
static inline uint64_t gcpreload_elapsed(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? to_ns - from_ns : 0;
}

/* Whether a time that was read from a file is the difference of two reads the wrong way round.
 * Files of earlier versions hold such. */
static inline bool gcpreload_elapsed_wrapped(uint64_t ns)
{
	return ns > INT64_MAX;
}

/* Of the calling thread: what else the machine does is no cost of ours. */
uint64_t gcpreload_thread_cpu_ns(void);

#endif

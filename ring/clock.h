/* SPDX-License-Identifier: MIT */
/*
 * The one clock of the library: libc's own. clock_gettime() may be another preloaded library's,
 * which shows the program another time (libfaketime), and not even the same one everywhere: not in
 * the waits that it stands in front of. What was due by the one time never came by the other, and
 * rings of yesterday were swept as a year old.
 */
#ifndef GCPRELOAD_RING_CLOCK_H
#define GCPRELOAD_RING_CLOCK_H

#include <stdint.h>
#include <time.h>

/* clock_gettime until preload/ knows better. Written before there is anybody to read it. */
extern int (*gcpreload_clock)(clockid_t, struct timespec *);

/* CLOCK_MONOTONIC is 21 ns, CLOCK_MONOTONIC_COARSE 3 ns and up to 4 ms behind it. */
static inline uint64_t gcpreload_clock_ns(clockid_t id)
{
	struct timespec ts;

	gcpreload_clock(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif

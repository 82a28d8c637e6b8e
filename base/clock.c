/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

int (*gcpreload_clock)(clockid_t, struct timespec *) = clock_gettime;

uint64_t gcpreload_thread_cpu_ns(void)
{
	return gcpreload_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* SPDX-License-Identifier: MIT */
/* /proc/PID/stat, and that of a thread (proc(5)). */
#ifndef GCPRELOAD_BASE_PROC_STAT_H
#define GCPRELOAD_BASE_PROC_STAT_H

#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
	char state;
	pid_t parent;
	uint64_t cpu_ticks;  /* processor time of all threads, clock ticks */
	uint64_t start_time; /* clock ticks since boot; 0: unknown */
};

/* Returns 0 or -errno; then stat is all zero. */
int proc_stat_read(const char *path, struct proc_stat *stat);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Removing what dead processes left in a directory of rings. Shared by the command and by the
 * library, which sweeps when it makes a file: so no allocation, no lock that is waited for, and
 * never more work than asked for.
 */
#ifndef GCPRELOAD_RING_SWEEP_H
#define GCPRELOAD_RING_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

/* What may stay of dead processes; all zero: nothing. UINT32_MAX and UINT64_MAX: any. */
struct gcpreload_sweep_limits {
	uint32_t max_files; /* above GCPRELOAD_SWEEP_MOST it means that */
	uint64_t max_bytes;
	uint64_t max_age_s; /* since the last sign of life */
	uint32_t max_look;  /* entries of the directory to look at; 0: all */
	uint32_t max_folds; /* rings to remove at most, since each must be read; 0: any */
	bool dry_run;	    /* only tell what would be removed */
	bool totals;	    /* the totals of removed rings, too: nothing is kept */
	uint32_t wait_ms;   /* for another sweeper to end; 0: rings stay for the next one */
};

/* The order of age is known of so many files at once. */
#define GCPRELOAD_SWEEP_MOST 64

/* Removes the rings of dead processes beyond the limits, oldest first, with their control
 * files, locks that nobody holds, and what was left half made more than a minute ago. What cannot
 * be read stays: it may be of another version, whose counts we could not keep. A ring's
 * numbers are kept in its service's totals (retired.h). removed (may be NULL) is told each name.
 * Returns how many files were removed, or -errno: -EWOULDBLOCK when another sweeper did not end
 * in wait_ms. */
int gcpreload_sweep(int dirfd, const struct gcpreload_sweep_limits *limits,
		    void (*removed)(void *arg, const char *name), void *arg);

#endif

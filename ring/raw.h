/* SPDX-License-Identifier: MIT */
/*
 * The layout of a file of ours, and reading one that may be cut short, written over, or hostile:
 * every size is checked, every text terminated. For readers and for the library, which sweeps: so
 * no allocation, no stdio, no symbol newer than glibc 2.17.
 */
#ifndef GCPRELOAD_RING_RAW_H
#define GCPRELOAD_RING_RAW_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring/layout.h"

/* glibc's fstat is a symbol of 2.33; the system call fills the same struct on 64 bits. */
static inline int ring_stat_name(int dir, const char *name, struct stat *st)
{
	return (int)syscall(SYS_newfstatat, dir, name, st, AT_SYMLINK_NOFOLLOW);
}

static inline int ring_stat_fd(int fd, struct stat *st)
{
	return (int)syscall(SYS_newfstatat, fd, "", st, 0x1000 /* AT_EMPTY_PATH */);
}

/* Sets *why; returns -error. */
int ring_bad(const char **why, int error, const char *text);

/* Reads exactly size bytes; a file that ends before is -ENODATA. */
int ring_read_at(int fd, void *buffer, size_t size, uint64_t offset);

/* Whether this can be the header of a ring, or of a file of retired ones (which has no slots).
 * Returns 0, or -errno with *why. */
int ring_check_header(const struct gcpreload_header *h, bool retired, uint64_t file_size,
		      const char **why);

/* Whether an open file is a ring that we can read. */
bool ring_is_readable(int fd);

/* What a ring of this version says of its layout. */
void ring_fill_layout(struct gcpreload_header *h);

void ring_terminate_texts(struct gcpreload_header *h);

static inline bool ring_has_series(const struct gcpreload_header *h, unsigned period,
				   unsigned generation, unsigned cause)
{
	return period < h->n_periods && generation < h->n_generations && cause < h->n_causes;
}

static inline uint64_t ring_series_at(const struct gcpreload_header *h, unsigned period,
				      unsigned generation, unsigned cause)
{
	uint64_t i = ((uint64_t)period * h->n_generations + generation) * h->n_causes + cause;

	return h->series_offset + i * h->series_size;
}

/* As gcpreload_reader_series, by a header that was checked. Times that cannot be, which earlier
 * versions wrote, are left out. */
int ring_read_series(int fd, const struct gcpreload_header *h, unsigned period, unsigned generation,
		     unsigned cause, struct gcpreload_series *series);

#endif

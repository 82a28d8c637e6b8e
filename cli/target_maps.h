/* SPDX-License-Identifier: MIT */
/* What another process has mapped, and its memory. */
#ifndef GCPRELOAD_CLI_TARGET_MAPS_H
#define GCPRELOAD_CLI_TARGET_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct target_map {
	uint64_t start, end, offset;
	bool executable;
	char *path; /* "" where there is none; "[stack]" */
};

struct target_maps {
	struct target_map *list;
	size_t n;
};

/* Returns 0 or -errno; then there is nothing to free. */
int target_maps_read(struct target_maps *maps, pid_t pid);
void target_maps_free(struct target_maps *maps);

/* The first with that path, or NULL. */
const struct target_map *target_maps_of(const struct target_maps *maps, const char *path);

/* Opens the file of a mapping as the process sees it, and makes sure that it is that file: by its
 * first bytes, since device and inode of maps are not stat's on every file system. Returns a
 * descriptor or -errno; -ESTALE: the file has been replaced. */
int target_maps_open(pid_t pid, const struct target_map *map);

/* Copies memory. Returns 0 or -errno; -EFAULT: not all of it is there, or may be written. */
int target_memory_read(pid_t pid, uint64_t address, void *bytes, size_t size);
int target_memory_write(pid_t pid, uint64_t address, const void *bytes, size_t size);

#endif

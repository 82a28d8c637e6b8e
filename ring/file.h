/* SPDX-License-Identifier: MIT */
/* Making, naming and locking a ring's file. For the writer; readers have ring/reader.h. */
#ifndef GCPRELOAD_RING_FILE_H
#define GCPRELOAD_RING_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/control.h"
#include "ring/writer.h"

/* A file that is being made: mapped and locked, still under its hidden name. */
struct ring_file {
	void *map;
	size_t size;
	uint32_t slots; /* a power of two; fewer where the file system is short of room */
	int dir;
	int fd;
	char hidden[80];
	char name[80];
};

/* Opens dir/gcpreload-<euid>, made where missing, and checks that it is ours alone. Returns a
 * descriptor or -errno with *why. */
int ring_dir_open(const struct gcpreload_place *place, const char **why);

/* Makes .NAME.new of zero bytes, all backed by memory, locked and mapped; as large as there is room
 * for (room.h), and where there is none, rings of dead processes are removed first. The lock lives
 * as long as the mapping, so no descriptor needs to stay open (flock(2): it belongs to the open
 * file description). Returns 0 or -errno with *why. */
int ring_file_create(struct ring_file *file, const struct gcpreload_place *place, int32_t pid,
		     uint64_t start_time, const char **why);

/* The same, with the name of the file that was published last, which was removed. */
int ring_file_create_again(struct ring_file *file, const struct gcpreload_place *place,
			   const char **why);

/* Gives the file its public name and read-only mode, closes the descriptors. Returns 0 or
 * -errno with *why, and then the file is gone; the mapping is the caller's. */
int ring_file_publish(struct ring_file *file, const struct gcpreload_place *place,
		      const char **why);

/* Whether the file that was published last, mapped at map, was removed: false where nobody can say.
 */
bool ring_file_removed(const void *map);

/* See gcpreload_ring_control; for the file that was published last. */
int ring_file_control(struct gcpreload_control *control, const char **why);

#endif

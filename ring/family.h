/* SPDX-License-Identifier: MIT */
/* One process of a family at a time: a lock that is tried, never waited for. */
#ifndef GCPRELOAD_RING_FAMILY_H
#define GCPRELOAD_RING_FAMILY_H

#include <stdint.h>

#include "ring/writer.h"

/* A file named after the parent, in the directory of the rings. Returns a descriptor that holds
 * the lock, or -EWOULDBLOCK where another process of the family has it, or -errno. */
int gcpreload_family_lock(const struct gcpreload_place *place, int32_t parent, uint64_t start_time);

/* Removes the file and lets go. */
void gcpreload_family_unlock(int fd, const struct gcpreload_place *place, int32_t parent,
			     uint64_t start_time);

/* The same as gcpreload_family_lock for longer: no descriptor stays open. Returns an address for
 * gcpreload_family_release, or NULL with *error what the other would return. Children of this
 * process hold it, too, until they end, but where madvise(MADV_DONTFORK) said otherwise for its
 * GCPRELOAD_FAMILY_SIZE bytes. */
#define GCPRELOAD_FAMILY_SIZE 4096
void *gcpreload_family_hold(const struct gcpreload_place *place, int32_t parent,
			    uint64_t start_time, int *error);
void gcpreload_family_release(void *held, const struct gcpreload_place *place, int32_t parent,
			      uint64_t start_time);

#endif

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

#endif

/* SPDX-License-Identifier: MIT */
/*
 * How large a new ring may be. The file system is often the application's as well (/dev/shm, 64 MB
 * in a container), and a write of its that fails is harm: so a quarter of it stays free, and the
 * fuller it is, the fewer slots a ring has.
 */
#ifndef GCPRELOAD_RING_ROOM_H
#define GCPRELOAD_RING_ROOM_H

#include <stddef.h>
#include <stdint.h>

/* In 4 KB pages: a file of so many slots. */
size_t ring_room_size(uint32_t slots);

/* Bytes on a file system; all 0: it has no limit. */
struct ring_room {
	uint64_t whole;
	uint64_t free;
};

/* That of an open file or directory. Returns 0 or -errno. */
int ring_room_look(int fd, struct ring_room *room);

/* The most slots of which a ring may be made, fewer than below; 0: none. */
uint32_t ring_room_slots(const struct ring_room *room, uint32_t below);

#endif

/* SPDX-License-Identifier: MIT */
#include "ring/room.h"

#include <errno.h>
#include <sys/vfs.h>

#include "ring/layout.h"

/* So that 300 processes have one each in 64 MB. */
static const struct {
	uint32_t slots;
	unsigned quarters; /* that must be free afterwards */
} room_steps[] = {
	{ GCPRELOAD_FILE_SLOTS, 3 },
	{ GCPRELOAD_FILE_SLOTS / 4, 2 },
	{ GCPRELOAD_FILE_SLOTS / 32, 1 },
};

size_t ring_room_size(uint32_t slots)
{
	return (GCPRELOAD_SLOTS_OFFSET + (size_t)slots * GCPRELOAD_SLOT_SIZE + 4095) &
	       ~(size_t)4095;
}

int ring_room_look(int fd, struct ring_room *room)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	room->whole = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
	room->free = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	return 0;
}

uint32_t ring_room_slots(const struct ring_room *room, uint32_t below)
{
	uint64_t quarter = room->whole / 4;
	size_t i;

	for (i = 0; i < sizeof room_steps / sizeof *room_steps; i++)
		if (room_steps[i].slots < below &&
		    (!room->whole || room->free >= ring_room_size(room_steps[i].slots) +
						       room_steps[i].quarters * quarter))
			return room_steps[i].slots;
	return 0;
}

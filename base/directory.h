/* SPDX-License-Identifier: MIT */
/* A directory's entries by getdents64(2): opendir() allocates, and glibc has hidden the call. */
#ifndef GCPRELOAD_BASE_DIRECTORY_H
#define GCPRELOAD_BASE_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct directory_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* The next entries, one behind the other by their length, in a buffer that is aligned to 8.
 * Returns how many bytes there are, 0 at the end, -1 with errno. */
static inline long directory_read(int fd, void *buffer, size_t size)
{
	return syscall(SYS_getdents64, fd, buffer, size);
}

static inline const struct directory_entry *directory_entry_at(const char *buffer, long at)
{
	return (const struct directory_entry *)(buffer + at);
}

#endif

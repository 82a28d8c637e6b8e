/* SPDX-License-Identifier: MIT */
#include "ring/family.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "ring/file.h"

static void name_of(char name[64], int32_t parent, uint64_t start_time)
{
	snprintf(name, 64, ".family.%d.%llu", parent, (unsigned long long)start_time);
}

int gcpreload_family_lock(const struct gcpreload_place *place, int32_t parent, uint64_t start_time)
{
	const char *why;
	char name[64];
	int fd, dir = ring_dir_open(place, &why);

	if (dir < 0)
		return dir;
	name_of(name, parent, start_time);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		fd = -errno;
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int saved_errno = errno;

		close(fd);
		fd = -saved_errno;
	}
	close(dir);
	return fd;
}

/* Removed before the lock is let go: who opens the name later makes a new file, and who has this
 * one open has already given up. */
void gcpreload_family_unlock(int fd, const struct gcpreload_place *place, int32_t parent,
			     uint64_t start_time)
{
	const char *why;
	char name[64];
	int dir = ring_dir_open(place, &why);

	if (dir >= 0) {
		name_of(name, parent, start_time);
		unlinkat(dir, name, 0);
		close(dir);
	}
	close(fd);
}

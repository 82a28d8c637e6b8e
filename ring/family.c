/* SPDX-License-Identifier: MIT */
#include "ring/family.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring/file.h"
#include "ring/raw.h"

static void family_name(char name[64], int32_t parent, uint64_t start_time)
{
	snprintf(name, 64, ".family.%d.%llu", parent, (unsigned long long)start_time);
}

/* Between our open and our lock its holder, or a sweeper, may have removed it: it locks nobody out
 * any more. Who holds the lock of a file that has its name keeps it. */
static int family_take(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || ring_stat_fd(fd, &st) < 0)
		return -errno;
	return st.st_nlink ? 0 : -EWOULDBLOCK;
}

int gcpreload_family_lock(const struct gcpreload_place *place, int32_t parent, uint64_t start_time)
{
	const char *why;
	char name[64];
	int fd, ret, dir = ring_dir_open(place, &why);

	if (dir < 0)
		return dir;
	family_name(name, parent, start_time);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	ret = fd < 0 ? -errno : family_take(fd);
	close(dir);
	if (ret == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Removed before the lock is let go: who opens the name later makes a new file. */
static void family_remove(const struct gcpreload_place *place, int32_t parent, uint64_t start_time)
{
	const char *why;
	char name[64];
	int dir = ring_dir_open(place, &why);

	if (dir >= 0) {
		family_name(name, parent, start_time);
		unlinkat(dir, name, 0);
		close(dir);
	}
}

void gcpreload_family_unlock(int fd, const struct gcpreload_place *place, int32_t parent,
			     uint64_t start_time)
{
	family_remove(place, parent, start_time);
	close(fd);
}

/* flock(2): the lock belongs to the open file, and a mapping keeps it open as a descriptor does;
 * nobody reads the page, of a file that has none. */
void *gcpreload_family_hold(const struct gcpreload_place *place, int32_t parent,
			    uint64_t start_time, int *error)
{
	int fd = gcpreload_family_lock(place, parent, start_time);
	void *held;

	*error = fd < 0 ? fd : 0;
	if (fd < 0)
		return NULL;
	held = mmap(NULL, GCPRELOAD_FAMILY_SIZE, PROT_NONE, MAP_SHARED, fd, 0);
	close(fd);
	if (held != MAP_FAILED)
		return held;
	*error = -ENOMEM;
	return NULL;
}

void gcpreload_family_release(void *held, const struct gcpreload_place *place, int32_t parent,
			      uint64_t start_time)
{
	family_remove(place, parent, start_time);
	munmap(held, GCPRELOAD_FAMILY_SIZE);
}

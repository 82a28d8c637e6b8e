/* SPDX-License-Identifier: MIT */
#include "ring/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/maps.h"
#include "ring/raw.h"
#include "ring/room.h"
#include "ring/sweep.h"

#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6

static int file_fail(const char **why, const char *text)
{
	*why = text;
	return errno ? -errno : -EIO;
}

/* A ring on a disk would stop the host whenever the kernel writes its pages back. */
static int file_check_memory_backed(int fd, const char **why)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return file_fail(why, "statfs of the directory failed");
	if ((uint64_t)fs.f_type == TMPFS_MAGIC || (uint64_t)fs.f_type == RAMFS_MAGIC)
		return 0;
	*why = "the directory is not on tmpfs";
	return -EMEDIUMTYPE;
}

static int file_check_owner(int fd, const char **why)
{
	struct stat st;

	if (ring_stat_fd(fd, &st) < 0)
		return file_fail(why, "stat of the directory failed");
	if (st.st_uid != geteuid()) {
		*why = "the directory belongs to another user";
		return -EPERM;
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		*why = "others may write to the directory";
		return -EPERM;
	}
	return 0;
}

static int file_share_dir(int fd, int64_t group, const char **why)
{
	struct stat st;

	if (group < 0)
		return 0;
	if (ring_stat_fd(fd, &st) == 0 && st.st_gid == (gid_t)group &&
	    (st.st_mode & 07777) == 02750)
		return 0;
	if (fchown(fd, (uid_t)-1, (gid_t)group) < 0 || fchmod(fd, 02750) < 0)
		return file_fail(why, "the directory cannot be given to the group");
	return 0;
}

int ring_dir_open(const struct gcpreload_place *place, const char **why)
{
	char name[32];
	int base, fd, ret;

	base = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return file_fail(why, "the directory cannot be opened");
	snprintf(name, sizeof name, "gcpreload-%u", (unsigned)geteuid());
	ret = file_check_memory_backed(base, why);
	if (ret < 0)
		goto out;
	if (mkdirat(base, name, 0700) < 0 && errno != EEXIST) {
		ret = file_fail(why, "gcpreload-<uid> cannot be made in the directory");
		goto out;
	}
	fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		ret = file_fail(why, "gcpreload-<uid> in the directory is no directory of ours");
		goto out;
	}
	ret = file_check_owner(fd, why);
	if (ret == 0)
		ret = file_share_dir(fd, place->group, why);
	if (ret < 0)
		close(fd);
	else
		ret = fd;
out:
	close(base);
	return ret;
}

static uint32_t file_random_word(void)
{
#ifdef SYS_getrandom /* headers older than Linux 3.17 lack it */
	uint32_t word;

	if (syscall(SYS_getrandom, &word, sizeof word, 1 /* GRND_NONBLOCK */) == sizeof word)
		return word;
#endif
	return (uint32_t)gcpreload_now_ns();
}

/* posix_fallocate past RLIMIT_FSIZE would raise SIGXFSZ in the host. */
static int file_allocate(int fd, size_t size, const char **why)
{
	struct rlimit limit;
	int ret;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size) {
		*why = "RLIMIT_FSIZE is too low";
		return -EFBIG;
	}
	do {
		ret = posix_fallocate(fd, 0, (off_t)size);
	} while (ret == EINTR);
	if (ret)
		*why = ret == ENOSPC ? "no space is left in the directory"
				     : "space cannot be reserved in the directory";
	return -ret;
}

/* Others make theirs at the same time: looked at again when the space is taken. */
static bool file_is_too_much(int fd)
{
	struct ring_room room;

	return ring_room_look(fd, &room) == 0 && room.free < room.whole / 4;
}

static int file_no_room(const char **why)
{
	*why = "less than a quarter of the file system would stay free";
	return -ENOSPC;
}

/* As large as there is room for. */
static int file_take_space(struct ring_file *file, const char **why)
{
	struct ring_room room;
	int ret;

	if (ring_room_look(file->fd, &room) < 0)
		return file_fail(why, "statfs of the directory failed");
	for (file->slots = UINT32_MAX; (file->slots = ring_room_slots(&room, file->slots));) {
		file->size = ring_room_size(file->slots);
		ret = file_allocate(file->fd, file->size, why);
		if (ret < 0 && ret != -ENOSPC)
			return ret;
		if (ret == 0 && !file_is_too_much(file->fd))
			return 0;
		if (ftruncate(file->fd, 0) < 0)
			return file_fail(why, "the new file cannot be made smaller");
	}
	return file_no_room(why);
}

static int file_lock_and_map(struct ring_file *file, const char **why)
{
	if (flock(file->fd, LOCK_EX | LOCK_NB) < 0)
		return file_fail(why, "the new file cannot be locked");
	file->map = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	if (file->map == MAP_FAILED)
		return file_fail(why, "the new file cannot be mapped");
	/* A child that inherited the mapping would keep the lock, and its parent alive. */
	if (madvise(file->map, file->size, MADV_DONTFORK) < 0) {
		munmap(file->map, file->size);
		return file_fail(why, "the mapping cannot be kept from children");
	}
	return 0;
}

/* Enough to look at after a crash loop, and no more. */
static const struct gcpreload_sweep_limits leave_of_the_dead = {
	.max_files = 32,
	.max_bytes = 8 << 20,
	.max_age_s = 7 * 24 * 3600,
	.max_look = 256,
	.max_folds = 64, /* a quarter of a millisecond each */
};

/* Where there is no room for the living. */
static const struct gcpreload_sweep_limits nothing_of_the_dead = {
	.max_look = 256,
	.max_folds = 64,
};

/* With the name that is set. */
static int file_create(struct ring_file *file, const struct gcpreload_place *place,
		       const char **why)
{
	int ret;

	file->dir = ring_dir_open(place, why);
	if (file->dir < 0)
		return file->dir;
	snprintf(file->hidden, sizeof file->hidden, ".%.70s.new", file->name);
	file->fd = openat(file->dir, file->hidden,
			  O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file->fd < 0) {
		ret = file_fail(why, "no file can be made in the directory");
		goto out_dir;
	}
	ret = file_take_space(file, why);
	if (ret == -ENOSPC && gcpreload_sweep(file->dir, &nothing_of_the_dead, NULL, NULL) > 0)
		ret = file_take_space(file, why);
	if (ret == 0)
		ret = file_lock_and_map(file, why);
	if (ret == 0)
		return 0;
	unlinkat(file->dir, file->hidden, 0);
	close(file->fd);
out_dir:
	close(file->dir);
	return ret;
}

int ring_file_create(struct ring_file *file, const struct gcpreload_place *place, int32_t pid,
		     uint64_t start_time, const char **why)
{
	snprintf(file->name, sizeof file->name, "%d.%llu.%08x", pid, (unsigned long long)start_time,
		 file_random_word());
	return file_create(file, place, why);
}

/* By path, because no descriptor stays open: servers close those that they do not know. */
static char control_path[PATH_MAX + 128];
static char ring_path[PATH_MAX + 124];
static struct stat ring_is;

static void file_remember(const struct ring_file *file, const struct gcpreload_place *place)
{
	if (ring_stat_fd(file->fd, &ring_is) < 0)
		memset(&ring_is, 0, sizeof ring_is);
	snprintf(ring_path, sizeof ring_path, "%s/gcpreload-%u/%s", place->dir, (unsigned)geteuid(),
		 file->name);
	snprintf(control_path, sizeof control_path, "%s.ctl", ring_path);
}

/* Its name may be hidden by a mount, or lie outside of a new root: then readers elsewhere still
 * have it, and with a second ring would count twice. So the kernel is asked for the file. */
static bool file_is_unlinked(const void *map)
{
	static const char deleted[] = " (deleted)";
	char text[PATH_MAX + 256];
	struct maps_place place;
	size_t n;

	if (!maps_find(map, &place, text, sizeof text))
		return false;
	n = strlen(place.name);
	return n >= sizeof deleted && strcmp(place.name + n - (sizeof deleted - 1), deleted) == 0;
}

bool ring_file_removed(const void *map)
{
	struct stat st;

	if (ring_stat_name(AT_FDCWD, ring_path, &st) == 0
		? st.st_ino == ring_is.st_ino && st.st_dev == ring_is.st_dev
		: errno != ENOENT && errno != ENOTDIR)
		return false;
	return file_is_unlinked(map);
}

int ring_file_create_again(struct ring_file *file, const struct gcpreload_place *place,
			   const char **why)
{
	const char *slash = strrchr(ring_path, '/');

	snprintf(file->name, sizeof file->name, "%.79s", slash ? slash + 1 : ring_path);
	return file_create(file, place, why);
}

int ring_file_publish(struct ring_file *file, const struct gcpreload_place *place, const char **why)
{
	int ret = 0;

	if (place->group >= 0 && fchown(file->fd, (uid_t)-1, (gid_t)place->group) < 0)
		ret = file_fail(why, "the file cannot be given to the group");
	/* Read-only: a mistaken truncate would kill the host by SIGBUS. */
	else if (fchmod(file->fd, place->group >= 0 ? 0440 : 0400) < 0 ||
		 renameat(file->dir, file->hidden, file->dir, file->name) < 0)
		ret = file_fail(why, "the file cannot be given its name");
	if (ret < 0) {
		unlinkat(file->dir, file->hidden, 0);
	} else {
		file_remember(file, place);
		gcpreload_sweep(file->dir, &leave_of_the_dead, NULL, NULL);
	}
	close(file->fd);
	close(file->dir);
	return ret;
}

int ring_file_control(struct gcpreload_control *control, const char **why)
{
	return gcpreload_control_read(AT_FDCWD, control_path, geteuid(), control, why);
}

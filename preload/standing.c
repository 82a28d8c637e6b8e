/* SPDX-License-Identifier: MIT */
#include "preload/standing.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/machine.h"
#include "preload/service.h"
#include "ring/raw.h"

/* As it was at the last look. A file that comes, goes or is replaced changes its time, in steps of
 * some milliseconds: what comes in the same step as a look is seen by one more. */
static struct {
	uid_t uid;
	ino_t inode;
	struct timespec changed;
	bool once_more;
} directory;

static bool standing_is_new(const struct stat *st, uid_t uid)
{
	bool is_new = directory.uid != uid || directory.inode != st->st_ino ||
		      directory.changed.tv_sec != st->st_mtim.tv_sec ||
		      directory.changed.tv_nsec != st->st_mtim.tv_nsec;
	bool look = is_new || directory.once_more;

	directory.uid = uid;
	directory.inode = st->st_ino;
	directory.changed = st->st_mtim;
	directory.once_more = is_new;
	return look;
}

static void standing_read(int dir, const char *name, uid_t uid, struct gcpreload_control *control,
			  const char **why)
{
	if (gcpreload_control_read(dir, name, uid, control, why) <= 0)
		control->serial = 0;
}

static void standing_read_all(int dir, uid_t uid, struct standing *standing)
{
	char name[GCPRELOAD_CONTROL_NAME], service[SERVICE_NAME];
	int32_t pid = (int32_t)syscall(SYS_getpid);

	gcpreload_control_name(name, NULL);
	standing_read(dir, name, uid, &standing->all, &standing->why);
	service_of_process(service);
	gcpreload_control_name(name, service);
	standing_read(dir, name, uid, &standing->service, &standing->why);
	gcpreload_control_process(name, pid, machine_start_time(pid));
	standing_read(dir, name, uid, &standing->process, &standing->why);
}

/* Whoever may write to the directory could put an old file of ours there. */
static bool standing_is_ours(int dir, uid_t uid)
{
	struct stat st;

	return ring_stat_fd(dir, &st) == 0 && (st.st_uid == uid || st.st_uid == 0) &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

void standing_forget(void)
{
	directory.once_more = true;
}

bool standing_look(const char *dir, struct standing *standing)
{
	char path[PATH_MAX + 32];
	uid_t uid = geteuid();
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "%s/gcpreload-%u", dir, (unsigned)uid);
	if (ring_stat_name(AT_FDCWD, path, &st) < 0 || !standing_is_new(&st, uid))
		return false;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		directory.once_more = true; /* no descriptor to spare, say */
		return false;
	}
	memset(standing, 0, sizeof *standing);
	if (standing_is_ours(fd, uid))
		standing_read_all(fd, uid, standing);
	close(fd);
	return true;
}

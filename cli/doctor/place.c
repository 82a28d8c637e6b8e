/* SPDX-License-Identifier: MIT */
#include "cli/doctor/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/memory.h"
#include "ring/layout.h"
#include "ring/room.h"

#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6

/* The reason why the directory in base cannot be used or made, or NULL. *advice says what to
 * do. */
static const char *look_inside(int base, const char *name, const char **advice)
{
	struct stat st;

	if (fstatat(base, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		*advice = "make it writable for this user, or set GCPRELOAD_DIR";
		return faccessat(base, ".", W_OK | X_OK, AT_EACCESS) < 0 ? "it cannot be made"
									 : NULL;
	}
	*advice = "remove it; it is made again";
	if (S_ISLNK(st.st_mode))
		return "it is a symbolic link";
	if (!S_ISDIR(st.st_mode))
		return "it is not a directory";
	if (st.st_uid != geteuid())
		return "it belongs to another user";
	*advice = "chmod go-w";
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return "others may write to it";
	return NULL;
}

/* Why there will be no file, or NULL; *smaller: one with fewer events. */
static const char *look_at_base(int base, const char **advice, bool *smaller)
{
	struct ring_room room;
	struct rlimit limit;
	struct statfs fs;
	uint32_t slots;

	*advice = "set GCPRELOAD_DIR to a directory on tmpfs";
	if (fstatfs(base, &fs) < 0)
		return "statfs failed";
	if ((unsigned long)fs.f_type != TMPFS_MAGIC && (unsigned long)fs.f_type != RAMFS_MAGIC)
		return "it is not on tmpfs, and writing to a disk would stop the application";
	*advice = "free some space (gcpreload clean), or make it larger (docker run --shm-size)";
	slots = ring_room_look(base, &room) < 0 ? 0 : ring_room_slots(&room, UINT32_MAX);
	if (!slots)
		return "it is full, but for the quarter that stays free";
	*smaller = slots < GCPRELOAD_FILE_SLOTS;
	*advice = "raise it (ulimit -f)";
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < ring_room_size(slots))
		return "the limit of a file's size is too low";
	return NULL;
}

void place_check(const struct gcpreload_settings *settings, struct findings *findings)
{
	bool required = settings->ring == GCPRELOAD_RING_REQUIRE;
	const char *dir = settings->dir, *advice = "", *why;
	bool smaller = false;
	char name[32];
	int base;

	snprintf(name, sizeof name, "gcpreload-%u", (unsigned)geteuid());
	base = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0) {
		why = strerror(errno);
		advice = "mount a tmpfs there, or set GCPRELOAD_DIR to one";
	} else {
		why = look_at_base(base, &advice, &smaller);
		if (!why)
			why = look_inside(base, name, &advice);
		close(base);
	}
	if (!why)
		findings_add(findings, smaller ? FINDING_NOTE : FINDING_GOOD,
			     "%s/%s: measurements can be kept there%s", dir, name,
			     smaller ? ", with fewer events than usual: it is short of room" : "");
	else
		findings_add(findings, required ? FINDING_BAD : FINDING_NOTE,
			     "%s/%s: no measurements can be kept: %s; %s%s", dir, name, why, advice,
			     required ? "" : "; tuning goes on without them");
}

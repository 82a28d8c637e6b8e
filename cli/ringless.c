/* SPDX-License-Identifier: MIT */
#include "cli/ringless.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/decision.h"
#include "cli/memory.h"
#include "cli/no_ring.h"
#include "cli/procfs.h"
#include "cli/standing.h"
#include "cli/text.h"
#include "ring/control.h"

struct ringless {
	char name[GCPRELOAD_CONTROL_NAME];
	uint64_t serial;
	const char *verb;
	int ret; /* 0: there was no directory */
};

static bool is_same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* It must see the directory that we see, and know itself by the number that we know it by. */
static bool is_beside_us(const struct procfs *p, const char *dir)
{
	char own_pids[] = "/proc/self/ns/pid", its_pids[64], its_dir[4200];

	snprintf(its_pids, sizeof its_pids, "/proc/%d/ns/pid", (int)p->pid);
	snprintf(its_dir, sizeof its_dir, "/proc/%d/root%s", (int)p->pid, dir);
	return is_same_file(its_pids, own_pids) && is_same_file(its_dir, dir);
}

/* The directory that it reads commands from, to be freed; NULL: it reads none. */
static char *directory_of(const struct procfs *p)
{
	struct decision decision;
	char *dir = NULL, *reason;
	bool comes;

	reason = no_ring_reason(p, &comes);
	free(reason);
	if (!comes || decision_of_process(&decision, p->pid) < 0)
		return NULL;
	if (decision.settings.dir)
		dir = format_text("%s", decision.settings.dir);
	decision_free(&decision);
	return dir;
}

static bool is_chosen(const struct rings_choice *choice, const struct procfs *p, const char *dir)
{
	const char *ours = choice->dir ? choice->dir : getenv("GCPRELOAD_DIR");
	uint32_t user = choice->user ? (uint32_t)strtoul(choice->user, NULL, 10) : geteuid();

	return !choice->root && !choice->all_containers && (choice->all_users || p->uid == user) &&
	       is_same_file(ours && *ours ? ours : "/dev/shm", dir) && is_beside_us(p, dir);
}

static void ringless_write(void *arg, const struct rings_dir *dir)
{
	struct ringless *told = arg;
	int ret = standing_write(dir, told->name, told->serial, told->verb);

	told->ret = ret < 0 ? ret : 1;
}

/* The directory may not be there: nothing in it has been ready so far. */
static int ringless_write_below(struct ringless *told, const char *dir, uint32_t uid)
{
	char user[16];
	struct rings_choice choice = { .dir = dir, .user = user };
	int ret;

	snprintf(user, sizeof user, "%u", uid);
	if (!rings_dirs(&choice, ringless_write, told, NULL)) {
		ret = standing_make_dir(&choice);
		if (ret < 0)
			return ret;
		rings_dirs(&choice, ringless_write, told, NULL);
	}
	return told->ret ? told->ret : -ENOENT;
}

int ringless_tell(const struct rings_choice *choice, int32_t pid, uint64_t serial, const char *verb,
		  char **path)
{
	struct ringless told = { .serial = serial, .verb = verb };
	struct procfs p;
	char *dir;
	int ret = 0;

	*path = NULL;
	if (procfs_read(&p, pid) < 0 || !*p.library || !*p.python || *p.ring)
		return 0;
	dir = directory_of(&p);
	if (dir && is_chosen(choice, &p, dir)) {
		gcpreload_control_process(told.name, pid, p.start_time);
		*path = format_text("%s/gcpreload-%u/%s", dir, p.uid, told.name);
		ret = ringless_write_below(&told, dir, p.uid);
	}
	free(dir);
	return ret;
}

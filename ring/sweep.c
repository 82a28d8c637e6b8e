/* SPDX-License-Identifier: MIT */
#include "ring/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/directory.h"
#include "base/proc_stat.h"
#include "ring/layout.h"
#include "ring/names.h"
#include "ring/raw.h"
#include "ring/retired.h"

#define NAME_SIZE   64 /* 10 digits, 20 digits, 8 of hex, and what stands around them */
#define HALF_MADE_S 60
#define SECOND	    1000000000ull

/* A dead ring that may stay, if the limits allow. */
struct kept {
	uint64_t seen_ns; /* the last sign of life */
	uint64_t bytes;
	char name[NAME_SIZE];
};

struct sweep {
	const struct gcpreload_sweep_limits *limits;
	void (*removed)(void *arg, const char *name);
	void *arg;
	int dir;
	bool locked; /* nobody else folds rings or removes their totals */
	int n_removed;
	uint32_t n_folds;
	uint64_t now_ns;
	time_t now_s; /* of the clock that files have */
	uint32_t most;
	uint32_t n_kept; /* oldest first */
	uint64_t kept_bytes;
	struct kept kept[GCPRELOAD_SWEEP_MOST + 1];
};

static void sweep_unlink_and_tell(struct sweep *s, const char *name)
{
	if (!s->limits->dry_run && unlinkat(s->dir, name, 0) < 0)
		return;
	s->n_removed++;
	if (s->removed)
		s->removed(s->arg, name);
}

/* A ring's numbers go to its service's totals first. */
static bool sweep_may_go(struct sweep *s, int fd, const char *name)
{
	if (s->limits->dry_run || s->limits->totals ||
	    gcpreload_name_kind(name) != GCPRELOAD_NAME_RING)
		return true;
	if (s->limits->max_folds && s->n_folds == s->limits->max_folds)
		return false;
	s->n_folds++;
	return ring_retired_fold(s->dir, fd, name) != RING_STAYS;
}

/* The one place where a file is removed. A name is looked at again under the lock, because it
 * may meanwhile be another file's: a pid comes again. */
static void sweep_remove_file(struct sweep *s, const char *name)
{
	struct stat by_fd, by_name;
	int fd = openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && ring_stat_fd(fd, &by_fd) == 0 &&
	    ring_stat_name(s->dir, name, &by_name) == 0 && S_ISREG(by_fd.st_mode) &&
	    by_fd.st_ino == by_name.st_ino && by_fd.st_dev == by_name.st_dev &&
	    sweep_may_go(s, fd, name))
		sweep_unlink_and_tell(s, name);
	close(fd);
}

static void sweep_remove_ring(struct sweep *s, const char *name)
{
	char control[NAME_SIZE + 4];
	size_t n = strlen(name);
	struct stat st;
	int before = s->n_removed;

	if (!s->locked && !s->limits->dry_run)
		return;
	sweep_remove_file(s, name);
	if (s->n_removed == before)
		return;
	memcpy(control, name, n);
	memcpy(control + n, ".ctl", 5);
	if (ring_stat_name(s->dir, control, &st) == 0)
		sweep_remove_file(s, control);
}

/* By the file's own time, which is that of its last renaming. */
static uint64_t sweep_file_time(const struct sweep *s, const struct stat *st)
{
	uint64_t age_s = s->now_s > st->st_ctime ? (uint64_t)(s->now_s - st->st_ctime) : 0;

	return gcpreload_elapsed(age_s * SECOND, s->now_ns);
}

/* When a ring's process was last heard of, on CLOCK_MONOTONIC: by its own word, as far as that
 * makes sense. */
static uint64_t sweep_last_sign_of_life(const struct sweep *s, int fd, const struct stat *st)
{
	struct gcpreload_header h;
	struct gcpreload_slot slot;

	if (ring_read_at(fd, &h, sizeof h, 0) < 0 ||
	    memcmp(h.magic, GCPRELOAD_RING_MAGIC, 8) != 0 || !h.changed_ns ||
	    h.changed_ns > s->now_ns)
		return sweep_file_time(s, st);
	if (!h.head || !h.n_slots || h.slot_size < sizeof slot ||
	    ring_read_at(fd, &slot, sizeof slot,
			 h.slots_offset + (h.head - 1) % h.n_slots * h.slot_size) < 0)
		return h.changed_ns;
	if (slot.start_ns > h.changed_ns && slot.start_ns <= s->now_ns)
		return slot.start_ns;
	return h.changed_ns;
}

/* Puts a dead ring into the list, and the oldest of a full list out of it and of the world. */
static void sweep_keep(struct sweep *s, const char *name, uint64_t seen_ns, uint64_t bytes)
{
	uint32_t i;

	for (i = s->n_kept; i > 0 && s->kept[i - 1].seen_ns > seen_ns; i--)
		s->kept[i] = s->kept[i - 1];
	s->kept[i].seen_ns = seen_ns;
	s->kept[i].bytes = bytes;
	memcpy(s->kept[i].name, name, strlen(name) + 1);
	s->n_kept++;
	s->kept_bytes += bytes;
	while (s->n_kept && (s->n_kept > s->most || s->kept_bytes > s->limits->max_bytes)) {
		sweep_remove_ring(s, s->kept[0].name);
		s->kept_bytes -= s->kept[0].bytes;
		s->n_kept--;
		memmove(&s->kept[0], &s->kept[1], s->n_kept * sizeof s->kept[0]);
	}
}

static void sweep_look_at_ring(struct sweep *s, const char *name)
{
	struct stat st;
	uint64_t seen_ns;
	int fd = openat(s->dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	/* Shared, so that a reader that asks at this moment is not told that it lives. */
	if (flock(fd, LOCK_SH | LOCK_NB) < 0 || ring_stat_fd(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    !ring_is_readable(fd)) {
		close(fd);
		return;
	}
	seen_ns = sweep_last_sign_of_life(s, fd, &st);
	close(fd);
	if (gcpreload_elapsed(seen_ns, s->now_ns) / SECOND >= s->limits->max_age_s)
		sweep_remove_ring(s, name);
	else
		sweep_keep(s, name, seen_ns, (uint64_t)st.st_blocks * 512);
}

static bool sweep_older_than_a_minute(const struct sweep *s, const char *name)
{
	struct stat st;

	return ring_stat_name(s->dir, name, &st) == 0 && S_ISREG(st.st_mode) &&
	       s->now_s - st.st_ctime > HALF_MADE_S;
}

/* A control file whose ring is gone. */
static bool sweep_is_orphan(const struct sweep *s, const char *name)
{
	char ring[NAME_SIZE];
	size_t n = strlen(name) - strlen(".ctl");
	struct stat st;

	memcpy(ring, name, n);
	ring[n] = '\0';
	return ring_stat_name(s->dir, ring, &st) < 0 && errno == ENOENT;
}

/* Of another pid namespace than ours, it counts as gone after a minute: it may have been read. */
static bool sweep_process_is_gone(const char *name)
{
	struct proc_stat stat;
	char path[32], *end;
	long pid = strtol(name, &end, 10);

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	proc_stat_read(path, &stat);
	return stat.start_time != strtoull(end + 1, NULL, 10);
}

static void sweep_look_at(struct sweep *s, const char *name)
{
	switch (gcpreload_name_kind(name)) {
	case GCPRELOAD_NAME_RING:
		sweep_look_at_ring(s, name);
		break;
	case GCPRELOAD_NAME_HALF: /* a younger one may be between its making and its lock */
		if (sweep_older_than_a_minute(s, name))
			sweep_remove_file(s, name);
		break;
	case GCPRELOAD_NAME_CONTROL:
		if (sweep_older_than_a_minute(s, name) && sweep_is_orphan(s, name))
			sweep_remove_file(s, name);
		break;
	case GCPRELOAD_NAME_PROCESS:
		if (sweep_older_than_a_minute(s, name) && sweep_process_is_gone(name))
			sweep_remove_file(s, name);
		break;
	case GCPRELOAD_NAME_TOTALS:
		if (s->limits->totals && (s->locked || s->limits->dry_run))
			sweep_remove_file(s, name);
		break;
	case GCPRELOAD_NAME_FAMILY: /* who has opened it meanwhile finds that it is gone */
		sweep_remove_file(s, name);
		break;
	case GCPRELOAD_NAME_OTHER:
		break;
	}
}

static void sweep_begin(struct sweep *s, int dir, const struct gcpreload_sweep_limits *limits)
{
	s->limits = limits;
	s->dir = dir;
	s->n_removed = 0;
	s->n_folds = 0;
	s->n_kept = 0;
	s->kept_bytes = 0;
	s->most =
	    limits->max_files < GCPRELOAD_SWEEP_MOST ? limits->max_files : GCPRELOAD_SWEEP_MOST;
	s->now_ns = gcpreload_clock_ns(CLOCK_MONOTONIC);
	s->now_s = (time_t)(gcpreload_clock_ns(CLOCK_REALTIME) / SECOND);
}

/* A lock on the directory itself, which a killed sweeper leaves to nobody. */
static bool sweep_lock(int list, uint32_t wait_ms)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	uint32_t waited;

	for (waited = 0; flock(list, LOCK_EX | LOCK_NB) < 0; waited += 10) {
		if (errno != EWOULDBLOCK || waited >= wait_ms)
			return false;
		nanosleep(&moment, NULL);
	}
	return true;
}

static int sweep_look_at_all(struct sweep *s, int list)
{
	const uint32_t most = s->limits->max_look;
	char buffer[4096] __attribute__((aligned(8)));
	const struct directory_entry *entry;
	uint32_t looked = 0;
	long n = 0, at;

	while ((!most || looked < most) && (n = directory_read(list, buffer, sizeof buffer)) > 0) {
		for (at = 0; at < n && !(most && looked >= most); at += entry->length) {
			entry = directory_entry_at(buffer, at);
			looked++;
			sweep_look_at(s, entry->name);
		}
	}
	return n < 0 ? -errno : s->n_removed;
}

int gcpreload_sweep(int dirfd, const struct gcpreload_sweep_limits *limits,
		    void (*removed)(void *arg, const char *name), void *arg)
{
	struct sweep s;
	int list, ret;

	/* A descriptor of its own: the place in a directory belongs to the open file. */
	list = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (list < 0)
		return -errno;
	sweep_begin(&s, dirfd, limits);
	s.removed = removed;
	s.arg = arg;
	s.locked = !limits->dry_run && sweep_lock(list, limits->wait_ms);
	if (!s.locked && limits->wait_ms && !limits->dry_run)
		ret = -EWOULDBLOCK;
	else
		ret = sweep_look_at_all(&s, list);
	/* Not by close(2) alone: a child that another thread forked meanwhile has it open, too. */
	if (s.locked)
		flock(list, LOCK_UN);
	close(list);
	return ret;
}

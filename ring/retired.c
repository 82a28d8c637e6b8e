/* SPDX-License-Identifier: MIT */
#include "ring/retired.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fnv.h"
#include "ring/histogram.h"
#include "ring/names.h"
#include "ring/raw.h"

#define OTHER	    (GCPRELOAD_RETIRED_FILES - 1)
#define MOST_SERIES 1024u /* of a later minor version; bounds the work */

/* One fold: a ring, the file of its service as it is, and the new one. */
struct fold {
	int dir;
	struct stat dir_is;
	int ring;
	const char *name;
	struct gcpreload_header from;
	unsigned i;
	struct gcpreload_reader old; /* fd -1: there is none yet */
	struct gcpreload_retired totals;
	int new;
	char hidden[RING_RETIRED_NAME];
};

/* Where a service's name leads to; that two meet is no harm. */
static unsigned retired_place_of(const char *service)
{
	return fnv_32(FNV_32, service, strlen(service)) % OTHER;
}

static int retired_check(struct gcpreload_reader *reader, struct gcpreload_retired *retired,
			 const struct stat *dir_is)
{
	const char *why;
	struct stat st;
	int ret;

	if (ring_stat_fd(reader->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != dir_is->st_uid)
		return -EPERM;
	ret = ring_read_at(reader->fd, &reader->header, sizeof reader->header, 0);
	if (ret == 0)
		ret = ring_check_header(&reader->header, true, (uint64_t)st.st_size, &why);
	if (ret == 0 && reader->header.header_size < GCPRELOAD_RETIRED_OFFSET + sizeof *retired)
		ret = -EINVAL;
	if (ret == 0)
		ret = ring_read_at(reader->fd, retired, sizeof *retired, GCPRELOAD_RETIRED_OFFSET);
	ring_terminate_texts(&reader->header);
	retired->last[sizeof retired->last - 1] = '\0';
	return ret;
}

static int retired_open_checked(struct gcpreload_reader *reader, struct gcpreload_retired *retired,
				int dir, const struct stat *dir_is, unsigned i)
{
	char name[RING_RETIRED_NAME];
	int ret;

	memset(reader, 0, sizeof *reader);
	memset(retired, 0, sizeof *retired);
	ring_retired_name(name, i, false);
	reader->fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (reader->fd < 0)
		return -errno;
	ret = retired_check(reader, retired, dir_is);
	if (ret < 0) {
		close(reader->fd);
		reader->fd = -1;
	}
	return ret;
}

int gcpreload_retired_open(struct gcpreload_reader *reader, struct gcpreload_retired *retired,
			   int dir, unsigned i)
{
	struct stat dir_is;

	reader->fd = -1;
	if (ring_stat_fd(dir, &dir_is) < 0)
		return -errno;
	return retired_open_checked(reader, retired, dir, &dir_is, i);
}

uint64_t gcpreload_attached_real_ns(const struct gcpreload_header *h)
{
	uint64_t before = gcpreload_elapsed(h->attached_ns, h->published_ns);

	return h->attached_ns > h->published_ns || before >= h->realtime_ns
		   ? 0
		   : h->realtime_ns - before;
}

bool gcpreload_retired_has(int ring)
{
	struct stat st;

	return ring_stat_fd(ring, &st) == 0 && st.st_mode & S_ISVTX;
}

static bool retired_mark(int ring)
{
	struct stat st;

	return ring_stat_fd(ring, &st) == 0 && fchmod(ring, (st.st_mode & 0777) | S_ISVTX) == 0;
}

/* Only a mistake that may pass (no descriptor, no memory) is a reason to wait: what is not ours in
 * a place stays there, and the next place is tried. */
static bool retired_may_pass(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EINTR ||
	       error == -EIO;
}

/* Finds the file of the ring's service, or the place for one. Returns 0 or -errno. */
static int retired_find(struct fold *f)
{
	unsigned n, begin = retired_place_of(f->from.service_name);
	int ret;

	for (n = 0; n < OTHER; n++) {
		f->i = (begin + n) % OTHER;
		ret = retired_open_checked(&f->old, &f->totals, f->dir, &f->dir_is, f->i);
		if (ret == -ENOENT)
			return 0;
		if (retired_may_pass(ret))
			return ret;
		if (ret < 0)
			continue;
		if (strcmp(f->old.header.service_name, f->from.service_name) == 0)
			return 0;
		close(f->old.fd);
	}
	f->i = OTHER;
	ret = retired_open_checked(&f->old, &f->totals, f->dir, &f->dir_is, OTHER);
	memset(f->from.service_name, 0, sizeof f->from.service_name);
	memcpy(f->from.service_name, GCPRELOAD_RETIRED_OTHER, sizeof GCPRELOAD_RETIRED_OTHER);
	return ret == -ENOENT ? 0 : ret;
}

/* A sweeper may have been killed after the fold of the ring before: it counts twice if that one
 * is still there when its name is written over. */
static bool retired_finish_last(const struct fold *f)
{
	bool gone;
	int fd;

	if (gcpreload_name_kind(f->totals.last) != GCPRELOAD_NAME_RING)
		return true;
	fd = openat(f->dir, f->totals.last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP;
	gone = flock(fd, LOCK_EX | LOCK_NB) == 0 && retired_mark(fd) &&
	       unlinkat(f->dir, f->totals.last, 0) == 0;
	close(fd);
	return gone;
}

static uint32_t retired_larger(uint32_t a, uint32_t b, uint32_t c)
{
	a = a > b ? a : b;
	return a > c ? a : c;
}

static void retired_add_counters(struct gcpreload_header *sum, const struct gcpreload_header *old,
				 const struct gcpreload_header *from)
{
#define PROCESS(id, field, ...) sum->field = old->field + from->field;
#include "ring/counters.def"
}

/* The sums began with the ring that came first. One that comes later has begun earlier at times; it
 * changes nothing, so that the begin never moves. */
static void retired_keep_first(struct gcpreload_retired *totals,
			       const struct gcpreload_header *from)
{
	uint64_t attached = gcpreload_attached_real_ns(from);

	if (!attached ||
	    (totals->first_published_ns && totals->first_published_ns <= from->realtime_ns))
		return;
	totals->first_published_ns = from->realtime_ns;
	totals->first_attached_ns = attached;
}

/* The header of the new file. False where there are more series than we want to work through. */
static bool retired_make_header(struct fold *f, struct gcpreload_header *h)
{
	const struct gcpreload_header *old = &f->old.header, *from = &f->from;
	uint64_t n;

	memset(h, 0, sizeof *h);
	memcpy(h->magic, GCPRELOAD_RETIRED_MAGIC, sizeof h->magic);
	ring_fill_layout(h);
	h->n_periods = retired_larger(GCPRELOAD_PERIODS, old->n_periods, from->n_periods);
	h->n_generations =
	    retired_larger(GCPRELOAD_GENERATIONS, old->n_generations, from->n_generations);
	h->n_causes = retired_larger(GCPRELOAD_CAUSES, old->n_causes, from->n_causes);
	n = (uint64_t)h->n_periods * h->n_generations * h->n_causes;
	if (n > MOST_SERIES)
		return false;
	h->total_size = (uint32_t)(h->series_offset + n * h->series_size);
	h->slots_offset = h->total_size;
	h->n_slots = 0;
	retired_add_counters(h, old, from);
	memcpy(h->service_name, from->service_name, sizeof h->service_name);
	h->service = from->service;
	memcpy(h->service_version, from->service_version, sizeof h->service_version);
	memcpy(h->service_environment, from->service_environment, sizeof h->service_environment);
	f->totals.folded++;
	retired_keep_first(&f->totals, from);
	if (from->head > from->n_slots)
		f->totals.lost += from->head - from->n_slots;
	memset(f->totals.last, 0, sizeof f->totals.last);
	memcpy(f->totals.last, f->name, strlen(f->name));
	return true;
}

static int retired_write_at(int fd, const void *data, size_t size, uint64_t offset)
{
	ssize_t n = pwrite(fd, data, size, (off_t)offset);

	if (n < 0)
		return -errno;
	return n == (ssize_t)size ? 0 : -ENOSPC;
}

/* Where both are empty nothing is written, and tmpfs has no page there. */
static int retired_write_series(const struct fold *f, const struct gcpreload_header *h, unsigned i)
{
	unsigned c = i % h->n_causes, g = i / h->n_causes % h->n_generations;
	unsigned p = i / h->n_causes / h->n_generations;
	struct gcpreload_series sum = { 0 }, more;
	int ret;

	if (f->old.fd >= 0) {
		ret = ring_read_series(f->old.fd, &f->old.header, p, g, c, &sum);
		if (ret < 0)
			return ret;
	}
	ret = ring_read_series(f->ring, &f->from, p, g, c, &more);
	if (ret < 0)
		return ret;
	gcpreload_series_merge(&sum, &more);
	return sum.collections ? retired_write_at(f->new, &sum, sizeof sum,
						  h->series_offset + (uint64_t)i * h->series_size)
			       : 0;
}

/* As a ring's: for its user, and for the group where the directory is shared with one. */
static int retired_give_away(const struct fold *f)
{
	mode_t mode = f->dir_is.st_mode & S_IRGRP ? 0440 : 0400;
	struct stat st;

	if (ring_stat_fd(f->new, &st) < 0)
		return -errno;
	if ((st.st_uid != f->dir_is.st_uid || st.st_gid != f->dir_is.st_gid) &&
	    fchown(f->new, f->dir_is.st_uid, f->dir_is.st_gid) < 0) {
		if (st.st_uid != f->dir_is.st_uid)
			return -errno;
		mode = 0400;
	}
	return fchmod(f->new, mode) < 0 ? -errno : 0;
}

static int retired_write_new(struct fold *f)
{
	struct gcpreload_header h;
	struct rlimit limit;
	unsigned i;
	int ret;

	if (!retired_make_header(f, &h))
		return -EINVAL;
	/* Past the limit SIGXFSZ would kill the host. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < h.total_size)
		return -EFBIG;
	if (ftruncate(f->new, (off_t)h.total_size) < 0)
		return -errno;
	for (i = 0; i < h.n_periods * h.n_generations * h.n_causes; i++) {
		ret = retired_write_series(f, &h, i);
		if (ret < 0)
			return ret;
	}
	ret = retired_write_at(f->new, &f->totals, sizeof f->totals, GCPRELOAD_RETIRED_OFFSET);
	if (ret == 0)
		ret = retired_write_at(f->new, &h, sizeof h, 0);
	return ret == 0 ? retired_give_away(f) : ret;
}

/* Returns 0 or -errno; then all is as before. */
static int retired_replace(struct fold *f)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	char name[RING_RETIRED_NAME];
	int ret;

	ring_retired_name(f->hidden, f->i, true);
	f->new = openat(f->dir, f->hidden, flags, 0600);
	/* Nobody else makes one under the lock: a killed sweeper left it. */
	if (f->new < 0 && errno == EEXIST && unlinkat(f->dir, f->hidden, 0) == 0)
		f->new = openat(f->dir, f->hidden, flags, 0600);
	if (f->new < 0)
		return -errno;
	ret = retired_write_new(f);
	close(f->new);
	ring_retired_name(name, f->i, false);
	if (ret == 0 && renameat(f->dir, f->hidden, f->dir, name) < 0)
		ret = -errno;
	if (ret < 0)
		unlinkat(f->dir, f->hidden, 0);
	return ret;
}

/* Reads the ring's header. A file that is not the directory's owner's could not be marked. */
static bool retired_is_ring(struct fold *f)
{
	const char *why;
	struct stat st;

	if (strlen(f->name) >= sizeof f->totals.last || ring_stat_fd(f->ring, &st) < 0 ||
	    st.st_uid != f->dir_is.st_uid ||
	    ring_read_at(f->ring, &f->from, sizeof f->from, 0) < 0 ||
	    ring_check_header(&f->from, false, (uint64_t)st.st_size, &why) < 0)
		return false;
	ring_terminate_texts(&f->from);
	return true;
}

enum ring_fold ring_retired_fold(int dir, int ring, const char *name)
{
	struct fold f = { .dir = dir, .ring = ring, .name = name, .old = { .fd = -1 } };
	int ret;

	if (ring_stat_fd(dir, &f.dir_is) < 0)
		return RING_STAYS;
	if (!retired_is_ring(&f))
		return RING_NOT_OURS;
	if (gcpreload_retired_has(ring))
		return RING_FOLDED;
	ret = retired_find(&f);
	if (ret < 0)
		return retired_may_pass(ret) ? RING_STAYS : RING_NOT_OURS;
	if (strcmp(f.totals.last, name) != 0)
		ret = retired_finish_last(&f) ? retired_replace(&f) : -EBUSY;
	if (f.old.fd >= 0)
		close(f.old.fd);
	/* No harm before truth: a full directory must not stay full of the dead. */
	if (ret == -ENOSPC || ret == -EDQUOT || ret == -EINVAL)
		return RING_NOT_OURS;
	return ret == 0 && retired_mark(ring) ? RING_FOLDED : RING_STAYS;
}

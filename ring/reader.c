/* SPDX-License-Identifier: MIT */
#include "ring/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONSISTENT_TRIES 100
#define LARGEST_FILE	 (64u << 20) /* of any minor version to come; bounds what we seek */

static int bad(const char **why, int error, const char *text)
{
	*why = text;
	return -error;
}

/* Reads exactly size bytes; a file that ends before is -ENODATA. */
static int read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

#define TERMINATE(field) ((field)[sizeof(field) - 1] = '\0')

static void terminate_texts(struct gcpreload_header *h)
{
	TERMINATE(h->library);
	TERMINATE(h->python);
	TERMINATE(h->hostname);
	TERMINATE(h->command);
	TERMINATE(h->cgroup);
	TERMINATE(h->service_name);
	TERMINATE(h->service_version);
	TERMINATE(h->service_environment);
	TERMINATE(h->reason);
	TERMINATE(h->trigger);
	TERMINATE(h->fired);
}

/* Whether n items of size bytes from offset lie behind the header and within the file. */
static bool area_fits(const struct gcpreload_header *h, uint32_t offset, uint64_t n, uint32_t size)
{
	return offset >= h->header_size && offset % 8 == 0 && size % 8 == 0 && n <= LARGEST_FILE &&
	       offset + n * size <= h->total_size;
}

static int check_header(const struct gcpreload_header *h, uint64_t file_size, const char **why)
{
	uint64_t n_series;

	if (memcmp(h->magic, GCPRELOAD_RING_MAGIC, 7) != 0)
		return bad(why, EINVAL, "not a ring");
	if (h->magic[7] != GCPRELOAD_RING_MAGIC[7] || h->major != GCPRELOAD_RING_MAJOR)
		return bad(why, EPROTO, "a ring of another version: use that version's gcpreload");
	if (h->endian != GCPRELOAD_RING_ENDIAN)
		return bad(why, EPROTO, "a ring of a machine with another byte order");
	if (h->total_size > file_size)
		return bad(why, ENODATA, "cut short");
	if (h->total_size > LARGEST_FILE || h->header_size < sizeof *h || h->header_size % 8)
		return bad(why, EINVAL, "damaged: impossible sizes");
	if (h->n_periods > 64 || h->n_generations > 64 || h->n_causes > 64 ||
	    h->series_size < sizeof(struct gcpreload_series) ||
	    h->slot_size < sizeof(struct gcpreload_slot) || !h->n_slots)
		return bad(why, EINVAL, "damaged: impossible counts");
	if (h->n_buckets != GCPRELOAD_BUCKETS || h->histogram_scale != GCPRELOAD_HISTOGRAM_SCALE ||
	    h->histogram_first != GCPRELOAD_HISTOGRAM_FIRST)
		return bad(why, EINVAL, "damaged: a histogram that version 1 does not have");
	n_series = (uint64_t)h->n_periods * h->n_generations * h->n_causes;
	if (!area_fits(h, h->series_offset, n_series, h->series_size) ||
	    !area_fits(h, h->slots_offset, h->n_slots, h->slot_size))
		return bad(why, EINVAL, "damaged: areas beyond the end");
	return 0;
}

int gcpreload_reader_refresh(struct gcpreload_reader *reader, const char **why)
{
	struct gcpreload_header h;
	struct stat st;
	int ret, tries;

	for (tries = 0; tries < CONSISTENT_TRIES; tries++) {
		uint64_t sequence;

		memset(&h, 0, sizeof h);
		ret = read_at(reader->fd, &h, sizeof h, 0);
		if (ret == -ENODATA && memcmp(h.magic, GCPRELOAD_RING_MAGIC, 8) != 0)
			return bad(why, EINVAL, "not a ring");
		if (ret < 0)
			return bad(why, -ret, ret == -ENODATA ? "cut short" : strerror(-ret));
		if (fstat(reader->fd, &st) < 0)
			return bad(why, errno, strerror(errno));
		ret = check_header(&h, (uint64_t)st.st_size, why);
		if (ret < 0)
			return ret;
		ret = read_at(reader->fd, &sequence, sizeof sequence,
			      offsetof(struct gcpreload_header, sequence));
		if (ret == 0 && sequence == h.sequence && sequence % 2 == 0)
			break;
		/* A writer that died in the middle leaves it odd for ever; then take it as it is.
		 */
	}
	terminate_texts(&h);
	reader->header = h;
	return 0;
}

int gcpreload_reader_open(struct gcpreload_reader *reader, int dir, const char *name,
			  const char **why)
{
	struct stat st;
	int ret;

	memset(reader, 0, sizeof *reader);
	reader->fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (reader->fd < 0)
		return bad(why, errno, errno == ELOOP ? "a symbolic link" : strerror(errno));
	if (fstat(reader->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		gcpreload_reader_close(reader);
		return bad(why, EINVAL, "not a regular file");
	}
	ret = gcpreload_reader_refresh(reader, why);
	if (ret < 0)
		gcpreload_reader_close(reader);
	return ret;
}

void gcpreload_reader_close(struct gcpreload_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
}

int gcpreload_reader_series(struct gcpreload_reader *reader, unsigned period, unsigned generation,
			    unsigned cause, struct gcpreload_series *series)
{
	const struct gcpreload_header *h = &reader->header;
	uint64_t i, offset, collections;
	int ret, tries;

	memset(series, 0, sizeof *series);
	if (period >= h->n_periods || generation >= h->n_generations || cause >= h->n_causes)
		return 0;
	i = ((uint64_t)period * h->n_generations + generation) * h->n_causes + cause;
	offset = h->series_offset + i * h->series_size;
	/* Most series are empty, and ps of a thousand processes asks for all of them. */
	ret = read_at(reader->fd, &collections, sizeof collections, offset);
	if (ret < 0 || !collections)
		return ret;
	for (tries = 0; tries < CONSISTENT_TRIES; tries++) {
		ret = read_at(reader->fd, series, sizeof *series, offset);
		if (ret == 0)
			ret = read_at(reader->fd, &collections, sizeof collections, offset);
		if (ret < 0)
			return ret;
		if (collections == series->collections)
			break;
	}
	return 0;
}

int gcpreload_reader_next(struct gcpreload_reader *reader, struct gcpreload_slot *slot)
{
	const struct gcpreload_header *h = &reader->header;
	uint64_t offset, seq;
	int ret;

	while (reader->next < h->head) {
		if (h->head - reader->next > h->n_slots) {
			reader->lost += h->head - h->n_slots - reader->next;
			reader->next = h->head - h->n_slots;
		}
		offset = h->slots_offset + (reader->next % h->n_slots) * h->slot_size;
		ret = read_at(reader->fd, slot, sizeof *slot, offset);
		if (ret == 0)
			ret = read_at(reader->fd, &seq, sizeof seq, offset);
		if (ret < 0)
			return ret;
		reader->next++;
		if (slot->seq == reader->next && seq == slot->seq)
			return 1;
		/* Not whole yet: the writer reserves before it writes. Ask again later. */
		if (slot->seq < reader->next && seq < reader->next && reader->next == h->head) {
			reader->next--;
			return 0;
		}
		reader->lost++;
	}
	return 0;
}

bool gcpreload_reader_alive(const struct gcpreload_reader *reader)
{
	if (flock(reader->fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(reader->fd, LOCK_UN);
	return false;
}

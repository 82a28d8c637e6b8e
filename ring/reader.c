/* SPDX-License-Identifier: MIT */
#include "ring/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "ring/raw.h"

#define CONSISTENT_TRIES 100

int gcpreload_reader_refresh(struct gcpreload_reader *reader, const char **why)
{
	struct gcpreload_header h;
	struct stat st;
	int ret, tries;

	for (tries = 0; tries < CONSISTENT_TRIES; tries++) {
		uint64_t sequence;

		memset(&h, 0, sizeof h);
		ret = ring_read_at(reader->fd, &h, sizeof h, 0);
		if (ret == -ENODATA && memcmp(h.magic, GCPRELOAD_RING_MAGIC, 8) != 0)
			return ring_bad(why, EINVAL, "not a ring");
		if (ret < 0)
			return ring_bad(why, -ret, ret == -ENODATA ? "cut short" : strerror(-ret));
		if (fstat(reader->fd, &st) < 0)
			return ring_bad(why, errno, strerror(errno));
		ret = ring_check_header(&h, false, (uint64_t)st.st_size, why);
		if (ret < 0)
			return ret;
		ret = ring_read_at(reader->fd, &sequence, sizeof sequence,
				   offsetof(struct gcpreload_header, sequence));
		if (ret == 0 && sequence == h.sequence && sequence % 2 == 0)
			break;
		/* A writer that died in the middle leaves it odd for ever; then take it as it is.
		 */
	}
	ring_terminate_texts(&h);
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
		return ring_bad(why, errno, errno == ELOOP ? "a symbolic link" : strerror(errno));
	if (fstat(reader->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		gcpreload_reader_close(reader);
		return ring_bad(why, EINVAL, "not a regular file");
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
	return ring_read_series(reader->fd, &reader->header, period, generation, cause, series);
}

int gcpreload_reader_collections(struct gcpreload_reader *reader, unsigned period,
				 unsigned generation, unsigned cause, uint64_t *collections)
{
	const struct gcpreload_header *h = &reader->header;

	*collections = 0;
	return ring_has_series(h, period, generation, cause)
		   ? ring_read_at(reader->fd, collections, sizeof *collections,
				  ring_series_at(h, period, generation, cause))
		   : 0;
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
		ret = ring_read_at(reader->fd, slot, sizeof *slot, offset);
		if (ret == 0)
			ret = ring_read_at(reader->fd, &seq, sizeof seq, offset);
		if (ret < 0)
			return ret;
		reader->next++;
		if (slot->seq == reader->next && seq == slot->seq) {
			if (gcpreload_elapsed_wrapped(slot->duration_ns))
				slot->duration_ns = 0;
			return 1;
		}
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

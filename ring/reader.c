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

/* Marks are written over in place: one is whole where it is twice alike. */
static int reader_copy_marks(const struct gcpreload_reader *reader,
			     struct gcpreload_mark marks[GCPRELOAD_MARKS_KEPT])
{
	const size_t size = GCPRELOAD_MARKS_KEPT * sizeof *marks;
	struct gcpreload_mark again[GCPRELOAD_MARKS_KEPT];
	int ret, tries;
	unsigned i;

	for (tries = 0; tries < CONSISTENT_TRIES; tries++) {
		ret = ring_read_at(reader->fd, marks, size, GCPRELOAD_MARKS_OFFSET);
		if (ret == 0)
			ret = ring_read_at(reader->fd, again, size, GCPRELOAD_MARKS_OFFSET);
		if (ret < 0 || memcmp(marks, again, size) == 0)
			return ret;
	}
	for (i = 0; i < GCPRELOAD_MARKS_KEPT; i++)
		if (memcmp(&marks[i], &again[i], sizeof *marks) != 0)
			marks[i].seq = 0;
	return 0;
}

/* A damaged ring may say anything. */
static void reader_mend_mark(struct gcpreload_mark *mark)
{
	uint64_t *const times[] = { &mark->fork_ns, &mark->mark_ns, &mark->cpu_ns };
	size_t i;

	for (i = 0; i < sizeof times / sizeof *times; i++)
		if (gcpreload_elapsed_wrapped(*times[i]))
			*times[i] = 0;
}

int gcpreload_reader_marks(struct gcpreload_reader *reader,
			   struct gcpreload_mark marks[GCPRELOAD_MARKS_KEPT])
{
	const struct gcpreload_header *h = &reader->header;
	struct gcpreload_mark kept[GCPRELOAD_MARKS_KEPT];
	unsigned i, j;
	int n = 0, ret;

	if (h->minor < 2 || !h->n_slots || h->header_size < GCPRELOAD_HEADER_SIZE)
		return 0;
	ret = reader_copy_marks(reader, kept);
	if (ret < 0)
		return ret;
	for (i = 0; i < GCPRELOAD_MARKS_KEPT; i++) {
		if (!kept[i].seq || (kept[i].seq - 1) % GCPRELOAD_MARKS_KEPT != i)
			continue;
		reader_mend_mark(&kept[i]);
		for (j = (unsigned)n++; j > 0 && marks[j - 1].seq > kept[i].seq; j--)
			marks[j] = marks[j - 1];
		marks[j] = kept[i];
	}
	return n;
}

static bool reader_keeps_hits(const struct gcpreload_header *h)
{
	const struct gcpreload_hits *hits = &h->hits;

	return h->minor >= 3 && hits->n && hits->n <= GCPRELOAD_HITS_KEPT &&
	       hits->size == sizeof(struct gcpreload_hit) && hits->offset >= h->header_size &&
	       (uint64_t)hits->offset + hits->n * hits->size <= h->total_size;
}

int gcpreload_reader_hits(const struct gcpreload_reader *reader,
			  struct gcpreload_hit hits[GCPRELOAD_HITS_KEPT])
{
	const struct gcpreload_hits *where = &reader->header.hits;
	struct gcpreload_hit kept[GCPRELOAD_HITS_KEPT], again[GCPRELOAD_HITS_KEPT];
	const size_t size = where->n * sizeof *kept;
	int n = 0, ret;
	unsigned i, j;

	if (!reader_keeps_hits(&reader->header))
		return 0;
	ret = ring_read_at(reader->fd, kept, size, where->offset);
	if (ret == 0)
		ret = ring_read_at(reader->fd, again, size, where->offset);
	if (ret < 0)
		return ret;
	for (i = 0; i < where->n; i++) {
		/* One that is being written is read at the next look. */
		if (!kept[i].seq || (kept[i].seq - 1) % where->n != i ||
		    memcmp(&kept[i], &again[i], sizeof *kept) != 0 ||
		    gcpreload_elapsed_wrapped(kept[i].duration_ns))
			continue;
		for (j = (unsigned)n++; j > 0 && hits[j - 1].seq > kept[i].seq; j--)
			hits[j] = hits[j - 1];
		hits[j] = kept[i];
	}
	return n;
}

bool gcpreload_reader_hit(const struct gcpreload_reader *reader, const struct gcpreload_slot *slot,
			  struct gcpreload_hit *hit)
{
	struct gcpreload_hit hits[GCPRELOAD_HITS_KEPT];
	int n = slot->flags & GCPRELOAD_SLOT_HIT ? gcpreload_reader_hits(reader, hits) : 0;

	while (n-- > 0)
		if (hits[n].event == slot->seq) {
			*hit = hits[n];
			return true;
		}
	return false;
}

bool gcpreload_mark_is_over(const struct gcpreload_mark *mark)
{
	return mark->how != GCPRELOAD_MARK_HOW_RUNNING && mark->how != GCPRELOAD_MARK_HOW_SWEEPING;
}

bool gcpreload_reader_alive(const struct gcpreload_reader *reader)
{
	if (flock(reader->fd, LOCK_SH | LOCK_NB) < 0)
		return errno == EWOULDBLOCK;
	flock(reader->fd, LOCK_UN);
	return false;
}

/* Two processes may have the same pid, one after the other; not the same begin. */
bool gcpreload_reader_same_process(const struct gcpreload_header *one,
				   const struct gcpreload_header *other)
{
	return one->attached_ns && one->attached_ns == other->attached_ns &&
	       one->pid == other->pid && one->start_time == other->start_time &&
	       one->pid_namespace == other->pid_namespace;
}

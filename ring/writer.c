/* SPDX-License-Identifier: MIT */
#include "ring/writer.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/self.h"
#include "base/shared.h"
#include "ring/file.h"
#include "ring/histogram.h"
#include "ring/identity.h"
#include "ring/load.h"
#include "ring/raw.h"

#define EARLY_SLOTS   256 /* a power of two */
#define LOAD_EVERY_NS 1000000000ull

/* What a file holds, without the padding of the header's page. */
struct early {
	struct gcpreload_header header;
	struct gcpreload_mark marks[GCPRELOAD_MARKS_KEPT];
	struct gcpreload_series series[GCPRELOAD_SERIES];
	struct gcpreload_hit hits[GCPRELOAD_HITS_KEPT];
	struct gcpreload_slot slots[EARLY_SLOTS];
};

/* Where events go now: the early area in .bss, or the mapped file. */
struct target {
	struct gcpreload_header *header;
	struct gcpreload_mark *marks;
	struct gcpreload_series *series;
	struct gcpreload_hit *hits;
	struct gcpreload_slot *slots;
	uint64_t mask;
	size_t size; /* of the mapping */
};

static struct early early;
static const struct target early_target = {
	&early.header, early.marks, early.series, early.hits, early.slots, EARLY_SLOTS - 1, 0
};
static struct target file_targets[2]; /* one is in use; the other for a file that replaces it */
static const struct target *current = &early_target;

/* All that this process and its ancestors since the start of Python have counted: what
 * gc.get_stats() says, because fork() copies that too. */
static struct gcpreload_totals lineage[GCPRELOAD_GENERATIONS];

static bool concurrent;
static bool marked; /* early.marks may have something */
static uint32_t period;
static uint64_t cpu_unseen_ns; /* of this process */

/* A thread id costs a system call, so each thread keeps its own. epoch tells a forked child
 * that the one it inherited is its parent's. initial-exec: no allocation at first use. */
static uint32_t epoch = 1;
static __thread struct {
	uint32_t epoch;
	uint32_t tid;
} thread_id __attribute__((tls_model("initial-exec")));

/* A child counts from zero; what it inherited is kept apart, so that sums over processes are
 * right and gc.get_stats() = inherited + counted still holds. */
static void writer_begin_process(void)
{
	struct gcpreload_header *header = &early.header;
	int i;

	epoch++;
	store_relaxed(&current, &early_target);
	cpu_unseen_ns = 0;
	/* Not in the first process: only to look would cost every Python 29 page faults. */
	for (i = 0; header->attached_ns && i < GCPRELOAD_SERIES; i++)
		if (early.series[i].collections)
			memset(&early.series[i], 0, sizeof early.series[i]);
	if (header->head)
		memset(early.slots, 0, sizeof early.slots);
	if (marked)
		memset(early.marks, 0, sizeof early.marks);
	marked = false;
	if (header->hits.written)
		memset(early.hits, 0, sizeof early.hits);
	memset(header, 0, sizeof *header);
	memcpy(header->inherited, lineage, sizeof lineage);
	header->frozen_objects = -1;
	header->attached_ns = gcpreload_now_ns();
	header->period_ns[GCPRELOAD_PERIOD_STARTUP] = header->attached_ns;
	header->period_since_ns = header->attached_ns;
	period = GCPRELOAD_PERIOD_STARTUP;
	store_release(&gcpreload_self->ring, 1);
}

static inline void writer_begin_if_new(void)
{
	gcpreload_self_check();
	if (__builtin_expect(!load_relaxed(&gcpreload_self->ring), 0))
		writer_begin_process();
}

/* Returns what it was. */
static inline uint64_t writer_add(uint64_t *counter, uint64_t n)
{
	uint64_t before;

	if (__builtin_expect(concurrent, 0))
		return add_relaxed(counter, n);
	before = load_relaxed(counter);
	store_relaxed(counter, before + n);
	return before;
}

static inline void writer_raise_to(uint64_t *counter, uint64_t n)
{
	uint64_t seen = load_relaxed(counter);

	while (seen < n && !swap_relaxed(counter, &seen, n))
		;
}

static inline uint32_t writer_this_thread(void)
{
	if (__builtin_expect(thread_id.epoch != epoch, 0)) {
		thread_id.tid = (uint32_t)syscall(SYS_gettid);
		thread_id.epoch = epoch;
	}
	return thread_id.tid;
}

static void writer_count(struct gcpreload_series *series, const struct gcpreload_event *event)
{
	int bucket = gcpreload_histogram_bucket(event->duration_ns);

	if (bucket == GCPRELOAD_BUCKET_BELOW)
		writer_add(&series->below, 1);
	else if (bucket == GCPRELOAD_BUCKET_ABOVE)
		writer_add(&series->above, 1);
	else
		writer_add(&series->buckets[bucket], 1);
	writer_add(&series->collected, event->collected);
	if (event->uncollectable)
		writer_add(&series->uncollectable, event->uncollectable);
	writer_add(&series->sum_ns, event->duration_ns);
	writer_raise_to(&series->max_ns, event->duration_ns);
	fence_release();
	writer_add(&series->collections, 1);
}

/* Before the slot, so that who sees its flag finds this, if it was not overwritten since. */
static void writer_write_hit(const struct target *to, const struct gcpreload_event *event,
			     uint64_t number)
{
	uint64_t i = writer_add(&to->header->hits.written, 1);
	struct gcpreload_hit *hit = &to->hits[i % GCPRELOAD_HITS_KEPT], copy = *event->hit;

	copy.seq = 0;
	copy.event = number + 1;
	copy.start_ns = event->start_ns;
	copy.duration_ns = event->duration_ns;
	copy.generation = event->generation;
	copy.cause = event->cause;
	copy.period = (uint8_t)load_relaxed(&period);
	copy.thread = writer_this_thread();
	store_relaxed(&hit->seq, 0);
	fence_release();
	*hit = copy;
	store_release(&hit->seq, i + 1);
}

static void writer_write_slot(const struct target *to, const struct gcpreload_event *event)
{
	uint64_t i = writer_add(&to->header->head, 1);
	struct gcpreload_slot *slot = &to->slots[i & to->mask];

	if (__builtin_expect(event->hit != NULL, 0))
		writer_write_hit(to, event, i);
	store_relaxed(&slot->seq, 0);
	fence_release();
	store_relaxed(&slot->start_ns, event->start_ns);
	store_relaxed(&slot->duration_ns, event->duration_ns);
	store_relaxed(&slot->collected, event->collected);
	store_relaxed(&slot->uncollectable, event->uncollectable);
	store_relaxed(&slot->thread, writer_this_thread());
	store_relaxed(&slot->generation, event->generation);
	store_relaxed(&slot->cause, event->cause);
	store_relaxed(&slot->period, (uint8_t)load_relaxed(&period));
	store_relaxed(&slot->flags, event->hit ? GCPRELOAD_SLOT_HIT : 0);
	store_release(&slot->seq, i + 1);
}

static inline unsigned writer_series_index(uint32_t in_period, uint8_t generation, uint8_t cause)
{
	return (in_period * GCPRELOAD_GENERATIONS + generation) * GCPRELOAD_CAUSES + cause;
}

void gcpreload_ring_record(const struct gcpreload_event *event)
{
	const struct target *to;
	struct gcpreload_totals *totals;

	writer_begin_if_new();
	to = load_acquire(&current);
	totals = &lineage[event->generation];
	writer_add(&totals->collections, 1);
	writer_add(&totals->collected, event->collected);
	if (event->uncollectable)
		writer_add(&totals->uncollectable, event->uncollectable);
	writer_count(&to->series[writer_series_index(load_relaxed(&period), event->generation,
						     event->cause)],
		     event);
	writer_write_slot(to, event);
}

void gcpreload_ring_mark(const struct gcpreload_mark *mark, uint64_t number)
{
	struct gcpreload_mark copy = *mark, *to;

	writer_begin_if_new();
	marked = marked || current == &early_target;
	to = &current->marks[number % GCPRELOAD_MARKS_KEPT];
	copy.seq = 0;
	store_relaxed(&to->seq, 0);
	fence_release();
	*to = copy;
	store_release(&to->seq, number + 1);
}

void gcpreload_ring_concurrent(void)
{
	store_release(&concurrent, true);
}

void gcpreload_ring_totals(struct gcpreload_totals totals[GCPRELOAD_GENERATIONS])
{
	memcpy(totals, lineage, sizeof lineage);
}

static void writer_add_totals(struct gcpreload_totals *to, const struct gcpreload_totals *from)
{
	writer_add(&to->collections, from->collections);
	writer_add(&to->collected, from->collected);
	writer_add(&to->uncollectable, from->uncollectable);
}

void gcpreload_ring_inherit(const struct gcpreload_totals unseen[GCPRELOAD_GENERATIONS])
{
	int i;

	writer_begin_if_new();
	for (i = 0; i < GCPRELOAD_GENERATIONS; i++) {
		writer_add_totals(&lineage[i], &unseen[i]);
		writer_add_totals(&current->header->inherited[i], &unseen[i]);
	}
}

bool gcpreload_ring_published(void)
{
	writer_begin_if_new();
	return load_relaxed(&current) != &early_target; /* asked without the GIL, too */
}

uint64_t gcpreload_ring_attached_ns(void)
{
	writer_begin_if_new();
	return early.header.attached_ns;
}

static void writer_move_word(uint64_t *to, uint64_t *from)
{
	if (load_relaxed(from))
		add_relaxed(to, exchange_relaxed(from, 0));
}

static void writer_move_series(struct gcpreload_series *to, struct gcpreload_series *from)
{
	int i;

	writer_raise_to(&to->max_ns, exchange_relaxed(&from->max_ns, 0));
	writer_move_word(&to->collected, &from->collected);
	writer_move_word(&to->uncollectable, &from->uncollectable);
	writer_move_word(&to->sum_ns, &from->sum_ns);
	writer_move_word(&to->below, &from->below);
	writer_move_word(&to->above, &from->above);
	for (i = 0; i < GCPRELOAD_BUCKETS; i++)
		writer_move_word(&to->buckets[i], &from->buckets[i]);
	fence_release();
	writer_move_word(&to->collections, &from->collections);
}

/* Moves what was counted early into the file. Exchange and add, so that an event of another
 * interpreter's thread is counted once, here or there; one that had already chosen the early
 * area when the file came is moved by the next status. */
static void writer_drain_early(struct gcpreload_series *into)
{
	int i;

	for (i = 0; i < GCPRELOAD_SERIES; i++)
		if (load_relaxed(&early.series[i].collections))
			writer_move_series(&into[i], &early.series[i]);
}

static void writer_enter_period(struct gcpreload_header *h, uint32_t next, uint64_t now)
{
	if (next == h->period)
		return;
	h->period_spent_ns[h->period] += gcpreload_elapsed(h->period_since_ns, now);
	h->period = next;
	h->period_since_ns = now;
	if (!h->period_ns[next])
		h->period_ns[next] = now;
}

/* CLOCK_PROCESS_CPUTIME_ID is a system call. */
static void writer_look_at_load(struct gcpreload_header *h, uint64_t now)
{
	const struct ring_load_now load = {
		.now_ns = now,
		.cpu_ns =
		    gcpreload_elapsed(cpu_unseen_ns, gcpreload_clock_ns(CLOCK_PROCESS_CPUTIME_ID)),
		.accepted = load_relaxed(&gcpreload_self->accepted),
	};

	ring_load_account(h, current->series, &load);
}

void gcpreload_ring_load(uint64_t now_ns, bool at_once)
{
	struct gcpreload_header *h;

	writer_begin_if_new();
	h = current->header;
	if (at_once || gcpreload_elapsed(h->load.as_of_ns, now_ns) >= LOAD_EVERY_NS)
		writer_look_at_load(h, now_ns);
}

void gcpreload_ring_status(const struct gcpreload_status *status)
{
	struct gcpreload_header *h;
	uint64_t now;

	/* In a new process its first period begins here: now must not be before. */
	writer_begin_if_new();
	now = gcpreload_now_ns();
	h = current->header;
	store_relaxed(&h->sequence, h->sequence + 1);
	fence_release();
	h->state = status->state;
	h->mode = status->mode;
	h->flags = status->flags;
	h->frozen_objects = status->frozen_objects;
	h->log_dropped = status->log_dropped;
	h->control_serial = status->control_serial;
	h->due_ns = status->due_ns;
	h->idle = status->idle;
	h->marks = status->marks;
	h->sample = status->sample;
	h->service = status->service;
	/* What was until now is the former period's. */
	gcpreload_ring_load(now, status->period != h->period);
	writer_enter_period(h, status->period, now);
	h->changed_ns = now;
	memcpy(h->thresholds, status->thresholds, sizeof h->thresholds);
	memcpy(h->thresholds_before, status->thresholds_before, sizeof h->thresholds_before);
	memcpy(h->python, status->python, sizeof h->python);
	memcpy(h->reason, status->reason, sizeof h->reason);
	memcpy(h->trigger, status->trigger, sizeof h->trigger);
	memcpy(h->fired, status->fired, sizeof h->fired);
	memcpy(h->service_name, status->service_name, sizeof h->service_name);
	memcpy(h->service_version, status->service_version, sizeof h->service_version);
	memcpy(h->service_environment, status->service_environment, sizeof h->service_environment);
	store_release(&h->sequence, h->sequence + 1);
	store_relaxed(&period, status->period);
	if (current != &early_target)
		writer_drain_early(current->series);
}

/* Copies the last slots, as many as both have place for. */
static void writer_copy_slots(const struct target *to, const struct target *from, uint64_t head)
{
	uint64_t most = (to->mask < from->mask ? to->mask : from->mask) + 1, i;

	for (i = head > most ? head - most : 0; i < head; i++)
		to->slots[i & to->mask] = from->slots[i & from->mask];
}

static void writer_fill_header(struct gcpreload_header *h)
{
	*h = early.header;
	strncpy(h->library, GCPRELOAD_VERSION, sizeof h->library - 1);
	h->realtime_ns = gcpreload_clock_ns(CLOCK_REALTIME);
	h->published_ns = gcpreload_now_ns();
}

/* The target that is not in use, in the new file. */
static struct target *writer_aim(const struct ring_file *file)
{
	struct target *to = current == &file_targets[0] ? &file_targets[1] : &file_targets[0];

	to->header = file->map;
	to->marks = (void *)((char *)file->map + GCPRELOAD_MARKS_OFFSET);
	to->series = (void *)((char *)file->map + GCPRELOAD_SERIES_OFFSET);
	to->hits = (void *)((char *)file->map + GCPRELOAD_HITS_OFFSET);
	to->slots = (void *)((char *)file->map + GCPRELOAD_SLOTS_OFFSET);
	to->mask = file->slots - 1;
	to->size = file->size;
	return to;
}

/* What has a public name is whole: a reader may come at once. */
static void writer_finish(const struct target *to, const struct ring_file *file)
{
	ring_fill_layout(to->header);
	to->header->n_slots = file->slots;
	to->header->total_size = (uint32_t)file->size;
	memcpy(to->header->magic, GCPRELOAD_RING_MAGIC, 8);
}

/* There will be no file. */
static void writer_move_back(const struct target *from)
{
	int i;

	store_release(&current, &early_target);
	store_relaxed(&early.header.head, load_relaxed(&from->header->head));
	for (i = 0; i < GCPRELOAD_SERIES; i++)
		if (load_relaxed(&from->series[i].collections))
			writer_move_series(&early.series[i], &from->series[i]);
	/* Another interpreter's thread may still be writing there. */
	if (!concurrent)
		munmap(from->header, from->size);
}

int gcpreload_ring_publish(const struct gcpreload_place *place, const char **why)
{
	struct ring_file file;
	struct target *to;
	uint64_t head;
	int ret;

	if (gcpreload_ring_published())
		return 0;
	ring_identity_fill(&early.header);
	ret = ring_file_create(&file, place, early.header.pid, early.header.start_time, why);
	if (ret < 0)
		return ret;
	to = writer_aim(&file);
	writer_fill_header(to->header);
	head = to->header->head;
	writer_copy_slots(to, &early_target, head);
	if (marked)
		memcpy(to->marks, early.marks, sizeof early.marks);
	if (early.header.hits.written)
		memcpy(to->hits, early.hits, sizeof early.hits);
	writer_finish(to, &file);
	store_release(&current, to);
	writer_drain_early(to->series);
	/* Slots that were written meanwhile have no copy: a reader finds and counts them lost. */
	add_relaxed(&to->header->head, load_relaxed(&early.header.head) - head);
	ret = ring_file_publish(&file, place, why);
	if (ret < 0)
		writer_move_back(to);
	return ret;
}

void gcpreload_ring_since_now(void)
{
	writer_begin_if_new();
	cpu_unseen_ns = gcpreload_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void gcpreload_ring_end(void)
{
	const struct target *from = current;

	if (!gcpreload_ring_published())
		return;
	store_release(&current, &early_target);
	munmap(from->header, from->size); /* its lock goes with it */
}

bool gcpreload_ring_removed(void)
{
	return gcpreload_ring_published() && ring_file_removed(current->header);
}

int gcpreload_ring_remake(const struct gcpreload_place *place, const char **why)
{
	const struct target *from = current;
	struct ring_file file;
	struct target *to;
	int ret;

	/* A thread of another interpreter may be counting in the old file while it is copied. */
	if (!gcpreload_ring_published() || concurrent) {
		*why = "sub-interpreters are there";
		return -EBUSY;
	}
	ret = ring_file_create_again(&file, place, why);
	if (ret < 0)
		return ret;
	to = writer_aim(&file);
	*to->header = *from->header;
	memcpy(to->marks, from->marks, sizeof early.marks);
	memcpy(to->series, from->series, sizeof early.series);
	memcpy(to->hits, from->hits, sizeof early.hits);
	writer_copy_slots(to, from, to->header->head);
	writer_finish(to, &file);
	ret = ring_file_publish(&file, place, why);
	if (ret < 0) {
		munmap(to->header, to->size);
		return ret;
	}
	store_release(&current, to);
	munmap(from->header, from->size); /* its lock goes with it */
	return 0;
}

int gcpreload_ring_control(struct gcpreload_control *control, const char **why)
{
	return gcpreload_ring_published() ? ring_file_control(control, why) : 0;
}

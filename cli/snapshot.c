/* SPDX-License-Identifier: MIT */
#include "cli/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/follow.h"
#include "cli/load.h"
#include "cli/memory.h"
#include "cli/newer.h"
#include "cli/text.h"
#include "ring/histogram.h"

bool snapshot_cause_is_once(unsigned cause)
{
	return cause == GCPRELOAD_CAUSE_READY || cause == GCPRELOAD_CAUSE_PREFORK ||
	       cause == GCPRELOAD_CAUSE_FINAL;
}

/* A later minor version may have more of each; what we cannot name goes to the last. */
static unsigned at_most(unsigned i, unsigned n)
{
	return i < n ? i : n - 1;
}

void snapshot_add(struct snapshot *s, unsigned period, unsigned generation, unsigned cause,
		  const struct gcpreload_series *series)
{
	unsigned p = at_most(period, GCPRELOAD_PERIODS), c = at_most(cause, GCPRELOAD_CAUSES);
	unsigned g = at_most(generation, GCPRELOAD_GENERATIONS);

	s->gc[g][c].collections += series->collections;
	s->gc[g][c].collected += series->collected;
	s->gc[g][c].uncollectable += series->uncollectable;
	s->gc_sum_ns[g][c] += series->sum_ns;
	if (series->max_ns > s->gc_max_ns[g][c])
		s->gc_max_ns[g][c] = series->max_ns;
	snapshot_period_add(&s->periods[p], p, g, c, series);
}

void snapshot_period_add(struct snapshot_period *to, unsigned period, unsigned generation,
			 unsigned cause, const struct gcpreload_series *series)
{
	to->gc_ns += series->sum_ns;
	/* Start-up is shown apart anyway, and is never compared. */
	if (period != GCPRELOAD_PERIOD_STARTUP && snapshot_cause_is_once(cause))
		gcpreload_series_merge(&to->once, series);
	else
		gcpreload_series_merge(&to->generations[generation], series);
	if (cause == GCPRELOAD_CAUSE_IDLE)
		gcpreload_series_merge(&to->idle, series);
	else if (!snapshot_cause_is_once(cause))
		gcpreload_series_merge(&to->in_requests, series);
}

void snapshot_period_merge(struct snapshot_period *into, const struct snapshot_period *from)
{
	int g;

	into->length_ns += from->length_ns;
	into->gc_ns += from->gc_ns;
	gcpreload_series_merge(&into->once, &from->once);
	gcpreload_series_merge(&into->in_requests, &from->in_requests);
	gcpreload_series_merge(&into->idle, &from->idle);
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		gcpreload_series_merge(&into->generations[g], &from->generations[g]);
	load_merge(into, from);
}

static void read_series(struct snapshot *s, struct gcpreload_reader *reader)
{
	const struct gcpreload_header *h = &reader->header;
	struct gcpreload_series series;
	unsigned p, g, c;

	for (p = 0; p < h->n_periods; p++)
		for (g = 0; g < h->n_generations; g++)
			for (c = 0; c < h->n_causes; c++)
				if (gcpreload_reader_series(reader, p, g, c, &series) == 0 &&
				    series.collections)
					snapshot_add(s, p, g, c, &series);
}

/* The end of the newest event that is whole: the last sign of life of a dead process. */
static uint64_t last_event_end(struct gcpreload_reader *reader)
{
	struct gcpreload_slot slot;
	uint64_t end = 0, back;

	for (back = 1; back <= 8 && back <= reader->header.head; back++) {
		reader->next = reader->header.head - back;
		if (gcpreload_reader_next(reader, &slot) == 1 &&
		    slot.start_ns + slot.duration_ns > end)
			end = slot.start_ns + slot.duration_ns;
	}
	return end;
}

/* A process may come back to a period (tuned, thawed, tuned again), so each has what was spent
 * in it before, and the present one goes on until now, or until the process ended. */
static void measure_periods(struct snapshot *s)
{
	const struct gcpreload_header *h = &s->header;
	uint64_t last = s->alive ? follow_now() : s->last_ns;
	uint64_t age;
	unsigned p;

	if (!s->alive && h->changed_ns > last)
		last = h->changed_ns;
	age = gcpreload_elapsed(h->attached_ns, last);
	/* Earlier versions wrote times that cannot be. */
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		s->periods[p].length_ns = h->period_spent_ns[p] <= age ? h->period_spent_ns[p] : 0;
	p = snapshot_period_now(s);
	if (h->period_since_ns)
		s->periods[p].length_ns += gcpreload_elapsed(h->period_since_ns, last);
}

bool snapshot_is_due(const struct snapshot *s)
{
	return s->alive && s->header.due_ns && s->header.due_ns < follow_now();
}

struct snapshot *snapshots_add(struct snapshots *all)
{
	if (all->n == all->room) {
		all->room = all->room ? 2 * all->room : 64;
		all->list = memory_need(realloc(all->list, all->room * sizeof *all->list));
	}
	all->list[all->n] = memory_need(calloc(1, sizeof **all->list));
	return all->list[all->n++];
}

void snapshot_read(struct snapshot *s, struct gcpreload_reader reader, bool alive)
{
	s->alive = alive;
	s->header = reader.header;
	if (!alive)
		s->last_ns = last_event_end(&reader);
	read_series(s, &reader);
	measure_periods(s);
	load_measure(s);
}

void snapshot_take(struct snapshot *s, struct ring *ring)
{
	memset(s, 0, sizeof *s);
	s->dir = memory_need(strdup(ring->dir->path));
	s->name = memory_need(strdup(ring->name));
	if (ring->why) {
		s->why = memory_need(strdup(ring->why));
		return;
	}
	snapshot_read(s, ring->reader, ring->alive);
}

static void snapshots_take_ring(void *arg, struct ring *ring)
{
	snapshot_take(snapshots_add(arg), ring);
}

static int by_pid(const void *a, const void *b)
{
	const struct snapshot *x = *(struct snapshot *const *)a, *y = *(struct snapshot *const *)b;

	if (!x->why != !y->why)
		return x->why ? 1 : -1;
	if (x->header.pid != y->header.pid)
		return x->header.pid < y->header.pid ? -1 : 1;
	if (x->header.start_time != y->header.start_time)
		return x->header.start_time < y->header.start_time ? -1 : 1;
	return x->name && y->name ? strcmp(x->name, y->name) : 0;
}

void snapshots_sort(struct snapshots *all)
{
	if (all->n)
		qsort(all->list, all->n, sizeof *all->list, by_pid);
}

/* Once for all of them. */
static void snapshots_say_newest(const struct snapshots *all, const struct rings_choice *choice)
{
	const struct gcpreload_header *newest = NULL;
	size_t i;

	for (i = 0; i < all->n; i++)
		if (!newest || all->list[i]->header.minor > newest->minor)
			newest = &all->list[i]->header;
	if (newest)
		newer_say(choice, newest);
}

int snapshots_take(struct snapshots *all, const struct rings_choice *choice, char **where)
{
	int n;

	memset(all, 0, sizeof *all);
	n = rings_each(choice, snapshots_take_ring, all, where);
	snapshots_sort(all);
	snapshots_say_newest(all, choice);
	return n;
}

void snapshot_clear(struct snapshot *s)
{
	free(s->dir);
	free(s->name);
	free(s->why);
	memset(s, 0, sizeof *s);
}

void snapshot_free(struct snapshot *s)
{
	snapshot_clear(s);
	free(s);
}

void snapshots_free(struct snapshots *all)
{
	size_t i;

	for (i = 0; i < all->n; i++)
		snapshot_free(all->list[i]);
	free(all->list);
	memset(all, 0, sizeof *all);
}

const char *snapshot_state(const struct snapshot *s)
{
	if (s->why)
		return "unreadable";
	/* Its ring has ended, and the process may live. */
	if (!s->alive && s->header.state == GCPRELOAD_STATE_OFF &&
	    strcmp(s->header.reason, GCPRELOAD_DETACHED) == 0)
		return "detached";
	if (!s->alive)
		return "exited";
	if (s->starting && !s->ring_comes)
		return "no-ring";
	return gcpreload_state_name(s->header.state);
}

uint64_t snapshot_attached_since(const struct snapshot *s)
{
	if (s->why || s->starting || !s->alive || !(s->header.flags & GCPRELOAD_FLAG_ATTACHED))
		return 0;
	return gcpreload_elapsed(s->header.attached_ns, follow_now());
}

unsigned snapshot_period_now(const struct snapshot *s)
{
	return at_most(s->header.period, GCPRELOAD_PERIODS);
}

double snapshot_startup_longest(const struct snapshot *s)
{
	const struct snapshot_period *startup = &s->periods[GCPRELOAD_PERIOD_STARTUP];
	uint64_t longest = startup->once.max_ns;
	int g;

	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		if (startup->generations[g].max_ns > longest)
			longest = startup->generations[g].max_ns;
	return (double)longest / 1e9;
}

double snapshot_share(const struct snapshot_period *period)
{
	double share;

	if (!period->length_ns)
		return -1;
	share = (double)period->gc_ns / (double)period->length_ns;
	return share < 1 ? share : 1;
}

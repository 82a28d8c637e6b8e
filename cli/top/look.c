/* SPDX-License-Identifier: MIT */
#include "cli/top/look.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/follow.h"
#include "cli/memory.h"
#include "cli/text.h"

static void list_clear(struct look_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		model_clear(&list->list[i]);
	free(list->list);
	memset(list, 0, sizeof *list);
}

static struct model_process *list_add(struct look_list *list)
{
	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		list->list = memory_need(realloc(list->list, list->room * sizeof *list->list));
	}
	return &list->list[list->n++];
}

static int by_name(const void *a, const void *b)
{
	return model_by_name(a, b);
}

static const struct model_process *look_find(const struct look_list *list,
					     const struct model_process *wanted)
{
	if (!list->n)
		return NULL;
	return bsearch(wanted, list->list, list->n, sizeof *list->list, by_name);
}

static void take_events(struct look *look, struct gcpreload_reader *reader)
{
	uint64_t head = reader->header.head;
	struct gcpreload_slot slot;
	size_t i;

	look->n_events = 0;
	reader->next = head > LOOK_EVENTS ? head - LOOK_EVENTS : 0;
	while (look->n_events < LOOK_EVENTS && gcpreload_reader_next(reader, &slot) == 1)
		look->events[look->n_events++] = slot;
	for (i = 0; i < look->n_events / 2; i++) {
		slot = look->events[i];
		look->events[i] = look->events[look->n_events - 1 - i];
		look->events[look->n_events - 1 - i] = slot;
	}
}

struct taking {
	struct look *look;
	struct snapshot *scratch;
};

static void look_take_ring(void *arg, struct ring *ring)
{
	struct taking *taking = arg;
	struct look *look = taking->look;
	bool opened = look->opened_name && strcmp(ring->name, look->opened_name) == 0 &&
		      strcmp(ring->dir->path, look->opened_dir) == 0;

	snapshot_clear(taking->scratch);
	snapshot_take(taking->scratch, ring);
	model_take(list_add(&look->now), taking->scratch);
	if (!opened)
		return;
	look->found = true;
	snapshot_clear(&look->snapshot);
	look->snapshot = *taking->scratch;
	memset(taking->scratch, 0, sizeof *taking->scratch);
	if (ring->why)
		look->n_events = 0;
	else
		take_events(look, &ring->reader);
}

/* The first of what could not be looked at. */
static void look_hear(void *arg, const char *text)
{
	struct look *look = arg;

	if (!look->message)
		look->message = memory_need(strdup(text));
}

void look_take(struct look *look, const struct rings_choice *choice, double seconds)
{
	struct taking taking = { look, memory_need(calloc(1, sizeof *taking.scratch)) };
	const struct model_process *before;
	size_t i;

	/* A look that is too young to tell a rate gives way to this one. */
	if (!look->before.ns ||
	    (double)gcpreload_elapsed(look->now.ns, follow_now()) >= seconds * 1e9) {
		list_clear(&look->before);
		look->before = look->now;
		memset(&look->now, 0, sizeof look->now);
	}
	list_clear(&look->now);
	free(look->where);
	free(look->message);
	look->message = look->where = NULL;
	look->found = false;
	complain_to(look_hear, look);
	look->now.ns = follow_now();
	look->to_realtime_ns = follow_to_realtime();
	rings_each(choice, look_take_ring, &taking, &look->where);
	rings_say_others(choice);
	complain_to(NULL, NULL);
	if (look->now.n)
		qsort(look->now.list, look->now.n, sizeof *look->now.list, by_name);
	for (i = 0; i < look->now.n; i++) {
		before = look_find(&look->before, &look->now.list[i]);
		if (before)
			model_since(&look->now.list[i], before,
				    (double)gcpreload_elapsed(look->before.ns, look->now.ns) / 1e9);
	}
	snapshot_free(taking.scratch);
}

void look_open(struct look *look, const char *dir, const char *name)
{
	free(look->opened_dir);
	free(look->opened_name);
	look->opened_dir = dir ? memory_need(strdup(dir)) : NULL;
	look->opened_name = name ? memory_need(strdup(name)) : NULL;
	look->found = false;
	look->n_events = 0;
	snapshot_clear(&look->snapshot);
}

const struct model_process *look_opened(const struct look *look)
{
	const struct model_process wanted = { .dir = look->opened_dir, .name = look->opened_name };

	return look->opened_name ? look_find(&look->now, &wanted) : NULL;
}

void look_free(struct look *look)
{
	look_open(look, NULL, NULL);
	list_clear(&look->now);
	list_clear(&look->before);
	free(look->where);
	free(look->message);
	memset(look, 0, sizeof *look);
}

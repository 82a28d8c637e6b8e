/* SPDX-License-Identifier: MIT */
/*
 * Four walks: over the list, to know which objects are in it; over all objects, to subtract from
 * the count of each the references that come from within; over those that are reached, to mark what
 * they refer to; over the garbage, to join what refers to each other.
 *
 * All but the first go in the order of memory, not of the list, and look ahead.
 */
#include "engine/graph.h"

#include <errno.h>
#include <stddef.h>

#include "engine/graph_table.h"

typedef int (*graph_visit)(void *object, void *arg);
typedef int (*graph_traverse)(void *object, graph_visit visit, void *arg);

enum {
	GRAPH_ASK = 4096, /* objects between two questions whether to stop */
	GRAPH_AHEAD = 16,
};

/* A number for each object. In the second walk: its reference count minus the references that were
 * seen, or GRAPH_ROOT, which stays; GRAPH_LEAST, too, is never left. Then: above zero for what is
 * reached. In the end: for garbage, -1 - the number of an object of the same component, of itself
 * for the first of it. */
#define GRAPH_ROOT  (INT32_C(1) << 30)
#define GRAPH_LEAST (-GRAPH_ROOT)

struct graph_state {
	struct graph_table table;
	const struct graph_layout *layout;
	int32_t *counts;
	uint64_t objects;
	uint64_t outside; /* of the list, but not in the table */
	uint64_t current; /* the object that is traversed */
	uintptr_t *stack;
	uint64_t depth;
	uint64_t steps; /* of all walks */
	bool (*stopped)(void *arg);
	void *arg;
};

static inline void *graph_word(uintptr_t object, size_t offset)
{
	return *(void *const *)(object + offset);
}

static inline void graph_visit_all(struct graph_state *state, uintptr_t object, graph_visit visit)
{
	uintptr_t type = (uintptr_t)graph_word(object, GRAPH_TYPE);
	graph_traverse traverse = (graph_traverse)graph_word(type, GRAPH_TYPE_TRAVERSE);

	if (traverse)
		traverse((void *)object, visit, state);
}

static inline bool graph_is_stopped(struct graph_state *state)
{
	return ++state->steps % GRAPH_ASK == 0 && state->stopped && state->stopped(state->arg);
}

/* Each object is in memory that nobody has looked at for long. */
struct graph_queue {
	struct graph_cursor cursor;
	uint64_t number;
	uintptr_t ahead[GRAPH_AHEAD];
};

static inline void graph_queue_fill(struct graph_queue *queue)
{
	uintptr_t object = graph_table_next(&queue->cursor);

	queue->ahead[queue->number++ % GRAPH_AHEAD] = object;
	__builtin_prefetch((const void *)object);
}

static inline struct graph_queue graph_queue_begin(const struct graph_state *state)
{
	struct graph_queue queue = { .cursor = graph_table_begin(&state->table) };

	for (int i = 0; i < GRAPH_AHEAD; i++)
		graph_queue_fill(&queue);
	return queue;
}

static inline uintptr_t graph_queue_next(struct graph_queue *queue)
{
	uintptr_t object = queue->ahead[queue->number % GRAPH_AHEAD];

	graph_queue_fill(queue);
	return object;
}

static inline const struct graph_head *graph_next(const struct graph_head *head)
{
	return (const struct graph_head *)(head->next & ~GRAPH_FLAGS);
}

static inline const struct graph_head *graph_previous(const struct graph_head *head)
{
	return (const struct graph_head *)(head->prev & ~GRAPH_FLAGS);
}

static inline int graph_list_add(struct graph_state *state, const struct graph_head *head)
{
	int err = graph_table_add(&state->table, (uintptr_t)(head + 1));

	if (err != -EDOM)
		return err;
	state->outside++;
	return 0;
}

/* From both ends: each step waits for memory, and so two are waited for at once. */
static int graph_list(struct graph_state *state, const struct graph_head *head,
		      const struct graph_head *after)
{
	const struct graph_head *front = graph_next(after ? after : head);
	const struct graph_head *back = graph_previous(head);

	while (front != head) {
		int err = graph_list_add(state, front);

		if (!err && front != back)
			err = graph_list_add(state, back);
		if (err)
			return err;
		/* An odd one in the middle, or none. */
		if (front == back || graph_next(front) == back)
			return 0;
		front = graph_next(front);
		back = graph_previous(back);
		if (graph_is_stopped(state))
			return -ECANCELED;
	}
	return 0;
}

static int graph_visit_subtract(void *object, void *arg)
{
	struct graph_state *state = arg;
	uint64_t number;

	if (graph_table_find(&state->table, (uintptr_t)object, &number)) {
		int32_t count = state->counts[number];

		if (count > GRAPH_LEAST && count < GRAPH_ROOT)
			state->counts[number] = count - 1;
	}
	return 0;
}

/* What it has of references, or GRAPH_ROOT where that is unknown or too many to count. */
static inline int32_t graph_references(const struct graph_layout *layout, uintptr_t object)
{
	int64_t count = *(const int64_t *)(object + GRAPH_REFCOUNT);

	if (layout->count_is_32_bits)
		count = (int32_t)count;
	return count <= 0 || count >= GRAPH_ROOT ? GRAPH_ROOT : (int32_t)count;
}

static int graph_subtract(struct graph_state *state)
{
	struct graph_queue queue = graph_queue_begin(state);

	for (uint64_t i = 0; i < state->objects; i++) {
		uintptr_t object = graph_queue_next(&queue);
		int32_t references = graph_references(state->layout, object);

		if (references == GRAPH_ROOT)
			state->counts[i] = GRAPH_ROOT;
		else
			state->counts[i] += references;
		graph_visit_all(state, object, graph_visit_subtract);
		if (graph_is_stopped(state))
			return -ECANCELED;
	}
	return 0;
}

/* What comes later in memory is met later by the walk; what came before is done by the stack. So it
 * holds each object once at most. */
static int graph_visit_reach(void *object, void *arg)
{
	struct graph_state *state = arg;
	uint64_t number;

	if (graph_table_find(&state->table, (uintptr_t)object, &number) &&
	    state->counts[number] <= 0) {
		state->counts[number] = 1;
		if (number < state->current) {
			state->stack[state->depth++] = (uintptr_t)object;
		}
	}
	return 0;
}

/* Visits what is on the stack, and what that adds. What is on top is fetched ahead. */
static int graph_drain(struct graph_state *state)
{
	uintptr_t ahead[GRAPH_AHEAD];
	unsigned in = 0, out = 0;

	while (state->depth || in != out) {
		while (state->depth && in - out < GRAPH_AHEAD) {
			uintptr_t object = state->stack[--state->depth];

			ahead[in++ % GRAPH_AHEAD] = object;
			__builtin_prefetch((const void *)object);
		}
		graph_visit_all(state, ahead[out++ % GRAPH_AHEAD], graph_visit_reach);
		if (graph_is_stopped(state))
			return -ECANCELED;
	}
	return 0;
}

static int graph_reach(struct graph_state *state)
{
	struct graph_queue queue = graph_queue_begin(state);
	int err = 0;

	for (uint64_t i = 0; i < state->objects && !err; i++) {
		uintptr_t object = graph_queue_next(&queue);

		if (state->counts[i] > 0) {
			state->current = i;
			graph_visit_all(state, object, graph_visit_reach);
			err = graph_drain(state);
		}
		if (graph_is_stopped(state))
			err = -ECANCELED;
	}
	return err;
}

/* The first object of the component; each object on the way comes nearer to it. */
static inline int32_t graph_first(int32_t *links, int32_t object)
{
	int32_t link = -1 - links[object];

	while (link != object) {
		int32_t next = -1 - links[link];

		links[object] = -1 - next;
		object = link;
		link = next;
	}
	return object;
}

static int graph_visit_join(void *object, void *arg)
{
	struct graph_state *state = arg;
	int32_t *links = state->counts;
	int32_t one, other;
	uint64_t number;

	if (!graph_table_find(&state->table, (uintptr_t)object, &number) || links[number] > 0)
		return 0;
	one = graph_first(links, (int32_t)state->current);
	other = graph_first(links, (int32_t)number);
	if (one < other)
		links[other] = -1 - one;
	else
		links[one] = -1 - other;
	return 0;
}

static int graph_join(struct graph_state *state, struct graph_garbage *result)
{
	struct graph_queue queue = graph_queue_begin(state);

	for (uint64_t i = 0; i < state->objects; i++) {
		if (state->counts[i] <= 0) {
			state->counts[i] = -1 - (int32_t)i;
			result->garbage++;
		}
	}
	if (!result->garbage)
		return 0;
	for (uint64_t i = 0; i < state->objects; i++) {
		uintptr_t object = graph_queue_next(&queue);

		if (state->counts[i] < 0) {
			state->current = i;
			graph_visit_all(state, object, graph_visit_join);
		}
		if (graph_is_stopped(state))
			return -ECANCELED;
	}
	return 0;
}

static uintptr_t graph_address(const struct graph_layout *layout, uintptr_t object)
{
	uintptr_t type = (uintptr_t)graph_word(object, GRAPH_TYPE);
	uint64_t flags = *(const uint64_t *)(type + GRAPH_TYPE_FLAGS);

	return flags & layout->preheader_flags ? object | GRAPH_PREHEADER : object;
}

/* The first of a component comes before its others: its place has the size, and from then on where
 * the next one is written; 0: there is no room. */
static int graph_write(struct graph_state *state, struct graph_garbage *result, uint64_t *places)
{
	struct graph_cursor cursor = graph_table_begin(&state->table);

	for (uint64_t i = 0; i < state->objects; i++) {
		uintptr_t object = graph_table_next(&cursor);
		int32_t first;

		if (state->counts[i] > 0)
			continue;
		first = graph_first(state->counts, (int32_t)i);
		if ((uint64_t)first == i) {
			uint64_t size = places[i];

			places[i] = 0;
			if (result->capacity - result->used > size) {
				result->words[result->used] = size;
				places[i] = result->used + 1;
				result->used += 1 + size;
				result->components++;
			}
		}
		if (places[first])
			result->words[places[first]++] = graph_address(state->layout, object);
		if (graph_is_stopped(state))
			return -ECANCELED;
	}
	return 0;
}

static int graph_components(struct graph_state *state, struct graph_garbage *result)
{
	uint64_t *places = graph_table_map(state->objects * sizeof(*places));

	if (!places)
		return -ENOMEM;
	for (uint64_t i = 0; i < state->objects; i++) {
		if (state->counts[i] < 0)
			places[graph_first(state->counts, (int32_t)i)]++;
	}
	return graph_write(state, result, places);
}

static int graph_number(struct graph_state *state)
{
	state->objects = graph_table_number(&state->table);
	if (state->objects > INT32_MAX)
		return -ENOMEM;
	state->counts = graph_table_map(state->objects * sizeof(*state->counts));
	state->stack = graph_table_map(state->objects * sizeof(*state->stack));
	return state->counts && state->stack ? 0 : -ENOMEM;
}

int graph_find_garbage(const struct graph_layout *layout, const struct graph_head *head,
		       const struct graph_head *after, struct graph_garbage *result,
		       bool (*stopped)(void *arg), void *arg)
{
	struct graph_state state = { .layout = layout, .stopped = stopped, .arg = arg };
	int err = graph_table_open(&state.table);

	result->live = result->garbage = result->components = result->used = 0;
	if (!err)
		err = graph_list(&state, head, after);
	if (!err)
		err = graph_number(&state);
	if (!err)
		err = graph_subtract(&state);
	/* A heap of few objects, or one that takes its time, is asked about, too. */
	if (!err && stopped && stopped(arg))
		err = -ECANCELED;
	if (!err)
		err = graph_reach(&state);
	if (!err)
		err = graph_join(&state, result);
	if (err)
		return err;
	result->live = state.objects - result->garbage + state.outside;
	return result->garbage ? graph_components(&state, result) : 0;
}

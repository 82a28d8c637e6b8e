/* SPDX-License-Identifier: MIT */
/* A heap for the tests of engine/graph: made-up objects of made-up types. */
#ifndef GCPRELOAD_TESTS_UNIT_TEST_HEAP_H
#define GCPRELOAD_TESTS_UNIT_TEST_HEAP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/graph.h"

struct fake {
	struct graph_head head;
	int64_t count; /* the object begins here */
	void *type;
	struct reference *first;
	uint64_t spare;
};

struct reference {
	void *to;
	struct reference *next;
};

struct heap {
	struct graph_head list;
	struct fake *objects;
	struct reference *references;
	size_t used, room;
	struct graph_garbage found;
};

typedef int (*visitor)(void *object, void *arg);

static union fake_type {
	char bytes[256];
	uintptr_t words[32];
} plain, early;

enum { EARLY_FLAG = 1 << 4 };
static const struct graph_layout wide = { .preheader_flags = EARLY_FLAG };
static const struct graph_layout narrow = { EARLY_FLAG, .count_is_32_bits = true };
static int refused; /* visits that did not return 0 */
static size_t traversed;

static inline int traverse(void *object, visitor visit, void *arg)
{
	struct fake *fake = (struct fake *)((char *)object - sizeof(struct graph_head));

	traversed++;
	for (struct reference *at = fake->first; at; at = at->next)
		refused += visit(at->to, arg) != 0;
	return 0;
}

static inline int setup_types(void **state)
{
	(void)state;
	plain.words[GRAPH_TYPE_TRAVERSE / 8] = (uintptr_t)traverse;
	early.words[GRAPH_TYPE_TRAVERSE / 8] = (uintptr_t)traverse;
	early.words[GRAPH_TYPE_FLAGS / 8] = EARLY_FLAG | 1;
	plain.words[GRAPH_TYPE_FLAGS / 8] = EARLY_FLAG << 1;
	return 0;
}

static inline void *object_of(struct heap *heap, size_t number)
{
	return &heap->objects[number].count;
}

static inline void append(struct heap *heap, struct graph_head *head)
{
	struct graph_head *last = (struct graph_head *)(heap->list.prev & ~GRAPH_FLAGS);

	/* With flags that are not part of the addresses. */
	last->next = (uintptr_t)head | (last->next & GRAPH_FLAGS);
	head->prev = (uintptr_t)last | 2;
	head->next = (uintptr_t)&heap->list | 1;
	heap->list.prev = (uintptr_t)head;
}

static inline void heap_empty(struct heap *heap, size_t references)
{
	memset(heap, 0, sizeof(*heap));
	heap->list.next = heap->list.prev = (uintptr_t)&heap->list;
	heap->room = references;
	heap->references = calloc(references + 1, sizeof(*heap->references));
	assert_non_null(heap->references);
	refused = 0;
}

/* Objects 0 to count - 1, which nothing refers to yet; in the list only where asked for. */
static inline void heap_make(struct heap *heap, size_t count, size_t references, bool listed)
{
	heap_empty(heap, references);
	assert_int_equal(posix_memalign((void **)&heap->objects, 16, (count + 1) * 48 + 16), 0);
	memset(heap->objects, 0, count * sizeof(*heap->objects));
	assert_int_equal(sizeof(struct fake) % 16, 0);
	for (size_t i = 0; i < count; i++) {
		heap->objects[i].type = &plain;
		if (listed)
			append(heap, &heap->objects[i].head);
	}
}

static inline void heap_free(struct heap *heap)
{
	free(heap->objects);
	free(heap->references);
	free(heap->found.words);
}

static inline void points(struct heap *heap, struct fake *from, void *to)
{
	struct reference *reference = &heap->references[heap->used++];

	assert_true(heap->used <= heap->room);
	*reference = (struct reference){ to, from->first };
	from->first = reference;
}

static inline void refers(struct heap *heap, size_t from, size_t to)
{
	points(heap, &heap->objects[from], object_of(heap, to));
	heap->objects[to].count++;
}

static inline void cycle(struct heap *heap, size_t first, size_t size)
{
	for (size_t i = 0; i < size; i++)
		refers(heap, first + i, first + (i + 1) % size);
}

static inline void find_within(struct heap *heap, const struct graph_layout *layout,
			       uint64_t capacity)
{
	free(heap->found.words);
	/* Not a word more, so that the sanitizer sees one that is too far. */
	heap->found = (struct graph_garbage){ .capacity = capacity, .words = malloc(capacity * 8) };
	traversed = 0;
	assert_int_equal(graph_find_garbage(layout, &heap->list, NULL, &heap->found, NULL, NULL),
			 0);
	assert_int_equal(refused, 0);
	assert_true(heap->found.used <= capacity);
}

/* Asserts how many of them live, and of how many components the garbage is. */
static inline void finds(struct heap *heap, uint64_t live, uint64_t garbage, uint64_t components)
{
	find_within(heap, &wide, garbage + components);
	assert_int_equal(heap->found.live, live);
	assert_int_equal(heap->found.garbage, garbage);
	assert_int_equal(heap->found.components, components);
	assert_int_equal(heap->found.used, garbage + components);
}

#endif

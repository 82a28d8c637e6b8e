/* SPDX-License-Identifier: MIT */
/* Which objects of a list nothing outside of it reaches: the rules, one by one. */
#include <errno.h>
#include <sys/mman.h>

#include "engine/graph_table.h"
#include "test_heap.h"

static void nothing(void **state)
{
	struct heap heap;

	(void)state;
	heap_make(&heap, 0, 0, true);
	finds(&heap, 0, 0, 0);
	heap_free(&heap);
}

static void cycles(void **state)
{
	struct heap heap;

	(void)state;
	heap_make(&heap, 3, 4, true);
	cycle(&heap, 0, 2);
	refers(&heap, 2, 2); /* itself */
	finds(&heap, 0, 3, 2);
	assert_int_equal(heap.found.words[0], 2);
	assert_int_equal(heap.found.words[1], (uintptr_t)object_of(&heap, 0));
	assert_int_equal(heap.found.words[2], (uintptr_t)object_of(&heap, 1));
	assert_int_equal(heap.found.words[3], 1);
	assert_int_equal(heap.found.words[4], (uintptr_t)object_of(&heap, 2));
	heap.objects[1].count++; /* from outside */
	finds(&heap, 2, 1, 1);
	heap.objects[2].count++;
	finds(&heap, 3, 0, 0);
	heap_free(&heap);
}

static void what_a_root_reaches(void **state)
{
	struct heap heap;

	(void)state;
	heap_make(&heap, 6, 8, true);
	cycle(&heap, 0, 2);
	refers(&heap, 1, 3);
	refers(&heap, 3, 2);   /* behind, in memory */
	finds(&heap, 2, 4, 1); /* 4 and 5 have no references: roots */
	refers(&heap, 4, 0);
	finds(&heap, 6, 0, 0);
	heap_free(&heap);
}

/* In whatever direction: garbage that garbage refers to is no component of its own. */
static void components(void **state)
{
	struct heap heap;

	(void)state;
	heap_make(&heap, 9, 12, true);
	for (size_t first = 0; first < 9; first += 3)
		cycle(&heap, first, 3);
	finds(&heap, 0, 9, 3);
	refers(&heap, 8, 1);
	finds(&heap, 0, 9, 2);
	assert_int_equal(heap.found.words[0], 6);
	assert_int_equal(heap.found.words[7], 3);
	assert_int_equal(heap.found.words[8], (uintptr_t)object_of(&heap, 3));
	/* What lives joins nothing. */
	heap.objects[8].count++;
	refers(&heap, 8, 4);
	finds(&heap, 9, 0, 0);
	heap_free(&heap);
}

static void garbage_beside_what_lives(void **state)
{
	struct heap heap;

	(void)state;
	heap_make(&heap, 6, 8, true);
	cycle(&heap, 0, 2);
	cycle(&heap, 2, 2);
	cycle(&heap, 4, 2);
	heap.objects[2].count++;
	refers(&heap, 0, 2);
	refers(&heap, 4, 3);
	finds(&heap, 2, 4, 2);
	heap_free(&heap);
}

/* Where the count says nothing, or is too large to be kept: a root, whatever refers to it. */
static void counts(void **state)
{
	static const int64_t big[] = { INT64_C(1) << 30, INT64_MAX, INT64_C(1) << 32, 0, -1 };
	struct heap heap;

	(void)state;
	heap_make(&heap, 2, 2, true);
	cycle(&heap, 0, 2);
	for (size_t i = 0; i < sizeof(big) / sizeof(*big); i++) {
		heap.objects[i % 2].count = big[i];
		finds(&heap, 2, 0, 0);
		heap.objects[i % 2].count = 1;
	}
	finds(&heap, 0, 2, 1);
	heap_free(&heap);
}

static void counts_of_32_bits(void **state)
{
	static const int64_t immortal[] = { 0xc0000000, 0xffffffff, 0x80000000, 0x3c0000000 };
	struct heap heap;

	(void)state;
	heap_make(&heap, 2, 2, true);
	cycle(&heap, 0, 2);
	for (size_t i = 0; i < sizeof(immortal) / sizeof(*immortal); i++) {
		heap.objects[i % 2].count = immortal[i];
		find_within(&heap, &narrow, 3);
		assert_int_equal(heap.found.live, 2);
		heap.objects[i % 2].count = 1;
	}
	/* The upper half is something else. */
	heap.objects[0].count = INT64_C(0x1234567800000001);
	heap.objects[1].count = (int64_t)UINT64_C(0x8000000000000001);
	find_within(&heap, &narrow, 3);
	assert_int_equal(heap.found.garbage, 2);
	heap_free(&heap);
}

static void references_twice(void **state)
{
	struct heap heap;

	(void)state;
	heap_make(&heap, 2, 8, true);
	cycle(&heap, 0, 2);
	refers(&heap, 0, 1);
	refers(&heap, 0, 1);
	finds(&heap, 0, 2, 1);
	heap.objects[1].count++;
	finds(&heap, 2, 0, 0);
	heap.objects[1].count--;
	/* Visited more often than counted. */
	for (int i = 0; i < 3; i++)
		points(&heap, &heap.objects[1], object_of(&heap, 0));
	finds(&heap, 0, 2, 1);
	heap_free(&heap);
}

static void types(void **state)
{
	static union fake_type blind;
	struct heap heap;

	(void)state;
	heap_make(&heap, 4, 8, true);
	cycle(&heap, 0, 3);
	heap.objects[1].type = &early;
	finds(&heap, 1, 3, 1);
	assert_int_equal(heap.found.words[1], (uintptr_t)object_of(&heap, 0));
	assert_int_equal(heap.found.words[2], (uintptr_t)object_of(&heap, 1) | GRAPH_PREHEADER);
	assert_int_equal(heap.found.words[3], (uintptr_t)object_of(&heap, 2));
	/* Before 3.11 there are none. */
	assert_int_equal(graph_find_garbage(&(struct graph_layout){ 0 }, &heap.list, NULL,
					    &heap.found, NULL, NULL),
			 0);
	assert_int_equal(heap.found.words[2], (uintptr_t)object_of(&heap, 1));
	/* A type that shows none of its references is like something outside. */
	heap.objects[0].type = &blind;
	finds(&heap, 4, 0, 0);
	heap_free(&heap);
}

/* Objects without a header, of other lists, beyond every table, and beside those of the list. */
static void visits_of_others(void **state)
{
	struct heap heap, others;
	char *object;

	(void)state;
	heap_make(&heap, 4, 70, true);
	heap_make(&others, 4, 0, false);
	cycle(&heap, 0, 2);
	object = object_of(&heap, 1);
	for (int i = 0; i < 4; i++)
		points(&heap, &heap.objects[i], object_of(&others, (size_t)i));
	for (int i = 1; i < 24; i++) {
		points(&heap, &heap.objects[0], object + i);
		points(&heap, &heap.objects[0], object - i);
	}
	points(&heap, &heap.objects[0], &plain);
	points(&heap, &heap.objects[0], &heap);
	points(&heap, &heap.objects[0], NULL);
	points(&heap, &heap.objects[1], (void *)16);
	points(&heap, &heap.objects[1], (void *)UINTPTR_MAX);
	points(&heap, &heap.objects[1], (void *)(UINTPTR_MAX - 15));
	points(&heap, &heap.objects[1], (void *)((uintptr_t)1 << 48));
	points(&heap, &heap.objects[1], (void *)(((uintptr_t)1 << 48) - 16));
	heap.objects[1].count++;
	finds(&heap, 4, 0, 0);
	heap.objects[1].count--;
	finds(&heap, 2, 2, 1);
	heap_free(&heap);
	heap_free(&others);
}

/* One that has no place in the table lives, and so does what it refers to. */
static void an_object_between(void **state)
{
	struct heap heap;
	struct fake *between;

	(void)state;
	heap_make(&heap, 2, 4, true);
	cycle(&heap, 0, 2);
	between = malloc(sizeof(*between) + 24);
	assert_non_null(between);
	between = (struct fake *)((char *)between + 8);
	*between = (struct fake){ .count = 1, .type = &plain };
	append(&heap, &between->head);
	finds(&heap, 1, 2, 1);
	points(&heap, between, object_of(&heap, 0));
	heap.objects[0].count++;
	points(&heap, &heap.objects[0], &between->count);
	finds(&heap, 3, 0, 0);
	heap_free(&heap);

	heap_make(&heap, 0, 0, true);
	append(&heap, &between->head);
	finds(&heap, 1, 0, 0);
	free((char *)between - 8);
	heap_free(&heap);
}

static void places_in_the_table(void **state)
{
	static const uintptr_t none[] = { 8, 17, (uintptr_t)1 << 48, UINTPTR_MAX - 15 };
	static const uintptr_t all[] = { 0x10, 0x3f0, 0x400, 0x12340000,
					 ((uintptr_t)1 << 48) - 16 };
	struct graph_table table;
	struct graph_cursor cursor;
	uint64_t number;

	(void)state;
	assert_int_equal(graph_table_open(&table), 0);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_int_equal(graph_table_add(&table, none[i]), -EDOM);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		assert_int_equal(graph_table_add(&table, all[i]), 0);
	assert_int_equal(graph_table_add(&table, all[0]), 0); /* again */
	assert_int_equal(graph_table_number(&table), sizeof(all) / sizeof(*all));
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		assert_false(graph_table_find(&table, none[i], &number));
	cursor = graph_table_begin(&table);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		uintptr_t address = graph_table_next(&cursor);

		assert_true(address && graph_table_find(&table, address, &number));
		assert_int_equal(number, i);
		assert_true(graph_table_find(&table, all[i], &number));
		assert_false(graph_table_find(&table, all[i] ^ 0x20, &number));
	}
	assert_int_equal(graph_table_next(&cursor), 0);
	assert_int_equal(graph_table_next(&cursor), 0);
}

/* 64 TiB, 16 TiB, and a hundred GiB: where the kernel puts the heap and what is mapped. */
static void far_apart(void **state)
{
	static const uintptr_t places[] = { UINT64_C(0x400000000000), UINT64_C(0x100000000000),
					    UINT64_C(0x19fffffff000), UINT64_C(0x1900000000) };
	enum { PLACES = sizeof(places) / sizeof(*places), EACH = 40, SIZE = 2 * 4096 };
	struct fake *objects[PLACES];
	struct heap heap;

	(void)state;
	heap_empty(&heap, PLACES * EACH);
	for (int i = 0; i < PLACES; i++) {
		objects[i] = mmap((void *)places[i], SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(objects[i] != MAP_FAILED);
		for (int j = 0; j < EACH; j++) {
			/* Over the borders of pages, and of 4 GiB. */
			objects[i][j + 70] = (struct fake){ .count = 1, .type = &plain };
			append(&heap, &objects[i][j + 70].head);
		}
	}
	for (int j = 0; j < EACH; j++)
		for (int i = 0; i < PLACES; i++)
			points(&heap, &objects[i][j + 70],
			       &objects[(i + 1) % PLACES][j + 70].count);
	finds(&heap, 0, PLACES * EACH, EACH);
	objects[2][75].count++;
	finds(&heap, PLACES, PLACES * (EACH - 1), EACH - 1);
	for (int i = 0; i < PLACES; i++)
		munmap(objects[i], SIZE);
	heap_free(&heap);
}

static void too_little_room(void **state)
{
	static const struct {
		uint64_t capacity, components, used;
	} rooms[] = { { 12, 3, 12 }, { 11, 2, 9 }, { 9, 2, 9 }, { 8, 1, 6 }, { 6, 1, 6 },
		      { 5, 1, 3 },   { 3, 1, 3 },  { 2, 0, 0 }, { 0, 0, 0 } };
	struct heap heap;

	(void)state;
	heap_make(&heap, 9, 9, true);
	cycle(&heap, 0, 5);
	cycle(&heap, 5, 2);
	cycle(&heap, 7, 2);
	for (size_t i = 0; i < sizeof(rooms) / sizeof(*rooms); i++) {
		find_within(&heap, &wide, rooms[i].capacity);
		assert_int_equal(heap.found.garbage, 9);
		assert_int_equal(heap.found.components, rooms[i].components);
		assert_int_equal(heap.found.used, rooms[i].used);
	}
	heap_free(&heap);
}

/* What comes after one object is looked at alone: of garbage that the rest refers to, too. */
static void after_a_boundary(void **state)
{
	struct heap heap;

	(void)state;
	heap_make(&heap, 7, 8, true);
	cycle(&heap, 0, 2); /* garbage, and not looked at */
	cycle(&heap, 3, 2);
	cycle(&heap, 5, 2);
	refers(&heap, 0, 5);
	heap.found = (struct graph_garbage){ .capacity = 20, .words = malloc(20 * 8) };
	assert_int_equal(
	    graph_find_garbage(&wide, &heap.list, &heap.objects[2].head, &heap.found, NULL, NULL),
	    0);
	assert_int_equal(heap.found.live, 2);
	assert_int_equal(heap.found.garbage, 2);
	assert_int_equal(heap.found.words[1], (uintptr_t)object_of(&heap, 3));
	assert_int_equal(
	    graph_find_garbage(&wide, &heap.list, &heap.objects[6].head, &heap.found, NULL, NULL),
	    0);
	assert_int_equal(heap.found.live + heap.found.garbage, 0);
	heap_free(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),
		cmocka_unit_test(cycles),
		cmocka_unit_test(what_a_root_reaches),
		cmocka_unit_test(components),
		cmocka_unit_test(garbage_beside_what_lives),
		cmocka_unit_test(counts),
		cmocka_unit_test(counts_of_32_bits),
		cmocka_unit_test(references_twice),
		cmocka_unit_test(types),
		cmocka_unit_test(visits_of_others),
		cmocka_unit_test(an_object_between),
		cmocka_unit_test(places_in_the_table),
		cmocka_unit_test(far_apart),
		cmocka_unit_test(too_little_room),
		cmocka_unit_test(after_a_boundary),
	};

	return cmocka_run_group_tests(tests, setup_types, NULL);
}

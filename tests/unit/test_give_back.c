/* SPDX-License-Identifier: MIT */
/* The sweep of a mark (engine/sweep), on lists of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "engine/freed.h"
#include "engine/layout.h"
#include "engine/sweep.h"
#include "inject/pyapi.h"

#define PAGE	4096
#define OBJECTS 40

/* One on each page, so that a page can be taken away. */
static char *pages;
static struct graph_head old_list, young_list;
static uintptr_t words[2 * OBJECTS];
static struct graph_garbage garbage;
static struct sweep sweep;

/* ---- the interpreter's side ---- */

static struct PyMemAllocatorEx top;

static void *base_malloc(void *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

/* Objects are in pages, which are no block of it. */
static void base_free(void *ctx, void *block)
{
	(void)ctx;
	if ((char *)block < pages || (char *)block >= pages + OBJECTS * PAGE)
		free(block);
}

static void get_allocator(int domain, struct PyMemAllocatorEx *allocator)
{
	(void)domain;
	*allocator = top;
}

static void set_allocator(int domain, struct PyMemAllocatorEx *allocator)
{
	(void)domain;
	top = *allocator;
}

static PyObject *list_new(Py_ssize_t size)
{
	(void)size;
	return (PyObject *)((char *)top.malloc(top.ctx, 56) + 16);
}

static void drop(PyObject *list)
{
	top.free(top.ctx, (char *)list - 16);
}

static void no_error(void)
{
}

static struct graph_head *at(uintptr_t word)
{
	return (struct graph_head *)(word & ~GRAPH_FLAGS);
}

/* Flags of next and prev stay, as the interpreter keeps them. */
static void untrack(PyObject *object)
{
	struct graph_head *head = layout_head(object);

	if (!head->next)
		return;
	at(head->prev)->next = (uintptr_t)at(head->next) | (at(head->prev)->next & GRAPH_FLAGS);
	at(head->next)->prev = (uintptr_t)at(head->prev) | (at(head->next)->prev & GRAPH_FLAGS);
	head->next = 0;
	head->prev &= 1; /* finalized */
}

static void track(PyObject *object)
{
	struct graph_head *head = layout_head(object), *last = at(young_list.prev);

	assert_int_equal(head->next, 0);
	last->next = (uintptr_t)head;
	head->prev = (uintptr_t)last | (head->prev & 1);
	head->next = (uintptr_t)&young_list;
	young_list.prev = (uintptr_t)head;
}

static PyObject *object(unsigned i)
{
	return (PyObject *)(pages + i * PAGE + 64);
}

static struct graph_head *head_of(unsigned i)
{
	return layout_head(object(i));
}

static unsigned length(const struct graph_head *list)
{
	const struct graph_head *head;
	unsigned n = 0;

	for (head = layout_next(list); head != list; head = layout_next(head)) {
		assert_ptr_equal(layout_prev(layout_next(head)), head);
		n++;
	}
	return n;
}

static void append_old(unsigned i)
{
	struct graph_head *head = head_of(i), *last = at(old_list.prev);

	last->next = (uintptr_t)head | (last->next & GRAPH_FLAGS);
	*head = (struct graph_head){ (uintptr_t)&old_list, (uintptr_t)last };
	old_list.prev = (uintptr_t)head;
}

/* The block of an object that has no words before its header. */
static void give_to_allocator(unsigned i)
{
	untrack(object(i));
	top.free(top.ctx, head_of(i));
}

static void take_page_away(unsigned i)
{
	assert_int_equal(munmap(pages + i * PAGE, PAGE), 0);
}

static void add_component(unsigned from, unsigned n)
{
	words[garbage.used++] = n;
	for (; n; n--)
		words[garbage.used++] = (uintptr_t)object(from++);
	garbage.components++;
}

/* Components of 3, 10, 1 and 20 objects; six are in use. */
static int setup(void **state)
{
	unsigned i;

	(void)state;
	py.PyMem_GetAllocator = get_allocator;
	py.PyMem_SetAllocator = set_allocator;
	py.PyList_New = list_new;
	py.Py_DecRef = drop;
	py.PyErr_Clear = no_error;
	py.PyObject_GC_UnTrack = untrack;
	py.PyObject_GC_Track = track;
	top = (struct PyMemAllocatorEx){ NULL, base_malloc, NULL, NULL, base_free };
	pages =
	    mmap(NULL, OBJECTS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(pages != MAP_FAILED);
	old_list = (struct graph_head){ (uintptr_t)&old_list, (uintptr_t)&old_list };
	young_list = (struct graph_head){ (uintptr_t)&young_list, (uintptr_t)&young_list };
	for (i = 0; i < OBJECTS; i++)
		append_old(i);
	garbage = (struct graph_garbage){ .live = 6, .garbage = 34, .words = words };
	add_component(0, 3);
	add_component(3, 10);
	add_component(13, 1);
	add_component(14, 20);
	sweep_take(&sweep, &garbage);
	assert_int_equal(freed_begin(0), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	freed_end();
	return munmap(pages, OBJECTS * PAGE);
}

/* ---- what is given back ---- */

static void whole_components_within_the_budget(void **state)
{
	(void)state;
	assert_int_equal(sweep_left(&sweep), 34);
	assert_int_equal(sweep_next(&sweep), 3);
	assert_int_equal(sweep_some(&sweep, 2, false), 0);
	assert_int_equal(length(&young_list), 0);
	assert_int_equal(sweep_some(&sweep, 12, false), 3); /* 13 would be more */
	assert_int_equal(length(&young_list), 3);
	assert_int_equal(sweep_next(&sweep), 10);
	assert_int_equal(sweep_some(&sweep, 11, false), 11);
	assert_int_equal(sweep_next(&sweep), 20);
	assert_int_equal(sweep_left(&sweep), 20);
	assert_int_equal(sweep_some(&sweep, 0, false), 0);
	assert_int_equal(sweep_some(&sweep, 1000, false), 20);
	assert_int_equal(sweep_next(&sweep), 0);
	assert_int_equal(sweep_left(&sweep), 0);
	assert_int_equal(sweep_some(&sweep, 1000, true), 0);
	assert_int_equal(sweep.swept, 34);
	assert_int_equal(sweep.skipped, 0);
	/* What is in use was not touched. */
	assert_int_equal(length(&young_list), 34);
	assert_int_equal(length(&old_list), 6);
}

static void one_that_is_too_large_comes_alone(void **state)
{
	(void)state;
	assert_int_equal(sweep_some(&sweep, 1, true), 3);
	assert_int_equal(sweep_some(&sweep, 5, false), 0);
	assert_int_equal(sweep_some(&sweep, 5, true), 10);
	assert_int_equal(sweep_some(&sweep, 5, true), 1); /* after it, nothing larger */
	assert_int_equal(sweep_some(&sweep, 5, true), 20);
	assert_int_equal(sweep_left(&sweep), 0);
}

static void no_garbage(void **state)
{
	struct sweep none = { .garbage = NULL };

	(void)state;
	assert_int_equal(sweep_next(&none), 0);
	assert_int_equal(sweep_left(&none), 0);
	assert_int_equal(sweep_some(&none, 10, true), 0);
}

/* ---- what is not ---- */

/* A read of what is gone would end the process. */
static void what_was_freed_is_not_read(void **state)
{
	(void)state;
	give_to_allocator(1);
	take_page_away(1);
	give_to_allocator(13); /* a component of its own */
	take_page_away(13);
	give_to_allocator(33); /* the last one */
	take_page_away(33);
	assert_int_equal(sweep_some(&sweep, 3, false), 2);
	assert_int_equal(sweep.skipped, 1);
	assert_int_equal(sweep_left(&sweep), 31);
	assert_int_equal(sweep_some(&sweep, 1000, false), 10 + 19);
	assert_int_equal(sweep.skipped, 3);
	assert_int_equal(sweep_left(&sweep), 0);
	assert_int_equal(length(&young_list), 31);
	assert_int_equal(length(&old_list), 6);
}

/* The block was used again, for what is tracked in the same place. */
static void what_was_freed_may_be_in_use(void **state)
{
	(void)state;
	give_to_allocator(0);
	append_old(0);
	assert_int_equal(sweep_some(&sweep, 3, false), 2);
	assert_int_equal(length(&old_list), 38);
}

/* Freed by reference count, and parked on a list of free objects. */
static void what_is_not_tracked(void **state)
{
	(void)state;
	untrack(object(2));
	assert_int_equal(sweep_some(&sweep, 3, false), 2);
	assert_int_equal(head_of(2)->next, 0);
	assert_int_equal(sweep.skipped, 1);
}

/* Memory of another allocator, in which no such header is any more. */
static void neighbours_do_not_know_it(void **state)
{
	struct graph_head stranger = { 0, 0 };

	(void)state;
	untrack(object(1));
	*head_of(1) = (struct graph_head){ (uintptr_t)&stranger, (uintptr_t)&stranger };
	assert_int_equal(sweep_some(&sweep, 3, false), 2);
	/* One of them does. */
	untrack(object(4));
	stranger.prev = (uintptr_t)head_of(4);
	*head_of(4) = (struct graph_head){ (uintptr_t)&stranger, (uintptr_t)&old_list };
	stranger.next = (uintptr_t)head_of(5);
	untrack(object(5));
	*head_of(5) = (struct graph_head){ (uintptr_t)&old_list, (uintptr_t)&stranger };
	assert_int_equal(sweep_some(&sweep, 10, false), 8);
	assert_int_equal(sweep.skipped, 3);
	assert_int_equal(length(&young_list), 10);
}

/* The interpreter's own flags: in next while it collects, in prev for what was finalized. */
static void flags_are_no_addresses(void **state)
{
	(void)state;
	head_of(0)->prev |= 1;
	head_of(1)->prev |= 1;
	head_of(2)->next |= 1;
	assert_int_equal(sweep_some(&sweep, 3, false), 3);
	assert_int_equal(length(&young_list), 3);
	assert_int_equal(head_of(1)->prev & 1, 1); /* finalized once */
}

/* Two words come before the header: where the block begins says whether it was freed. */
static void objects_with_two_words_before_them(void **state)
{
	unsigned i;

	(void)state;
	for (i = 1; i < 4; i++)
		words[i] |= GRAPH_PREHEADER;
	top.free(top.ctx, head_of(0));	   /* not the beginning of its block */
	top.free(top.ctx, head_of(1) - 1); /* that is */
	top.free(top.ctx, head_of(3) - 1); /* one without them: not its block */
	assert_int_equal(sweep_some(&sweep, 3, false), 2);
	assert_int_equal(sweep.skipped, 1);
	assert_ptr_equal(layout_next(&young_list), head_of(0));
	assert_ptr_equal(layout_next(head_of(0)), head_of(2));
	assert_int_equal(sweep_some(&sweep, 10, false), 10);
}

/* The interpreter has the rest of the component by itself already. */
static void what_is_young_again_stays(void **state)
{
	(void)state;
	untrack(object(1));
	track(object(1));
	assert_int_equal(sweep_some(&sweep, 3, false), 3);
	assert_int_equal(length(&young_list), 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(whole_components_within_the_budget),
		TEST(one_that_is_too_large_comes_alone),
		TEST(no_garbage),
		TEST(what_was_freed_is_not_read),
		TEST(what_was_freed_may_be_in_use),
		TEST(what_is_not_tracked),
		TEST(neighbours_do_not_know_it),
		TEST(flags_are_no_addresses),
		TEST(objects_with_two_words_before_them),
		TEST(what_is_young_again_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What is freed while a mark is out, with an allocator and tools of the test's own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/freed.h"
#include "inject/pyapi.h"

#define MB (1ull << 20)

/* ---- the interpreter's side ---- */

static struct PyMemAllocatorEx top;
static unsigned sets, base_calls;
static void *freed_last;
static bool ignores; /* addresses that are none */

static void *base_malloc(void *ctx, size_t size)
{
	(void)ctx;
	base_calls++;
	return malloc(size);
}

static void *base_calloc(void *ctx, size_t n, size_t size)
{
	(void)ctx;
	base_calls++;
	return calloc(n, size);
}

static void *base_realloc(void *ctx, void *block, size_t size)
{
	(void)ctx;
	base_calls++;
	return ignores ? block : realloc(block, size);
}

static void base_free(void *ctx, void *block)
{
	(void)ctx;
	base_calls++;
	freed_last = block;
	if (!ignores)
		free(block);
}

static const struct PyMemAllocatorEx base = { &top, base_malloc, base_calloc, base_realloc,
					      base_free };

static void get_allocator(int domain, struct PyMemAllocatorEx *allocator)
{
	assert_int_equal(domain, PYMEM_DOMAIN_OBJ);
	*allocator = top;
}

static void set_allocator(int domain, struct PyMemAllocatorEx *allocator)
{
	assert_int_equal(domain, PYMEM_DOMAIN_OBJ);
	top = *allocator;
	sets++;
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

/* Lists go elsewhere. */
static void drop_nothing(PyObject *list)
{
	free((char *)list - 16);
}

static bool is_base(void)
{
	return memcmp(&top, &base, sizeof top) == 0;
}

static void note(uintptr_t address)
{
	top.free(top.ctx, (void *)address);
}

/* tracemalloc and its kin: one struct each, put on top of what is there, which is put back. */
static struct tool {
	struct PyMemAllocatorEx below;
	unsigned calls;
} tools[40];

static void *tool_malloc(void *ctx, size_t size)
{
	struct tool *tool = ctx;

	tool->calls++;
	return tool->below.malloc(tool->below.ctx, size);
}

static void *tool_calloc(void *ctx, size_t n, size_t size)
{
	struct tool *tool = ctx;

	tool->calls++;
	return tool->below.calloc(tool->below.ctx, n, size);
}

static void *tool_realloc(void *ctx, void *block, size_t size)
{
	struct tool *tool = ctx;

	tool->calls++;
	return tool->below.realloc(tool->below.ctx, block, size);
}

/* One that calls itself would never end. */
static void tool_free(void *ctx, void *block)
{
	struct tool *tool = ctx;

	assert_true(tool->calls++ < 10000);
	tool->below.free(tool->below.ctx, block);
}

static void tool_start(struct tool *tool)
{
	tool->calls = 0;
	tool->below = top;
	top = (struct PyMemAllocatorEx){ tool, tool_malloc, tool_calloc, tool_realloc, tool_free };
}

static void tool_stop(struct tool *tool)
{
	top = tool->below;
}

static bool tool_is_on_top(const struct tool *tool)
{
	return top.ctx == tool;
}

static int setup(void **state)
{
	(void)state;
	freed_forget();
	top = base;
	ignores = false;
	py.PyMem_GetAllocator = get_allocator;
	py.PyMem_SetAllocator = set_allocator;
	py.PyList_New = list_new;
	py.Py_DecRef = drop;
	py.PyErr_Clear = no_error;
	return 0;
}

/* ---- the table ---- */

static void blocks_are_passed_on(void **state)
{
	char *block;

	(void)state;
	assert_int_equal(freed_begin(MB), 0);
	base_calls = 0;
	block = top.malloc(top.ctx, 100);
	strcpy(block, "abc");
	block = top.realloc(top.ctx, block, 100000);
	assert_string_equal(block, "abc");
	top.free(top.ctx, block);
	assert_ptr_equal(freed_last, block);
	assert_true(freed_contains((uintptr_t)block));
	block = top.calloc(top.ctx, 10, 10);
	assert_int_equal(block[99], 0);
	top.free(top.ctx, block);
	top.free(top.ctx, NULL);
	assert_false(freed_contains(0));
	assert_int_equal(base_calls, 6);
	freed_end();
	assert_true(is_base());
}

/* Compared with a list of all that was freed: 200 regions, of 256 that there is room for. */
static void all_is_noted_and_nothing_else(void **state)
{
	static bool there[200][64];
	const uintptr_t from = 0x7f0000000000, far = 37 * MB;
	unsigned i, j;

	(void)state;
	assert_int_equal(freed_begin(0), 0);
	ignores = true;
	srand(1);
	for (i = 0; i < 6000; i++) {
		unsigned region = (unsigned)rand() % 200, block = (unsigned)rand() % 64;
		uintptr_t address = from + region * far + block * 16 * 997;

		there[region][block] = true;
		if (i % 3)
			note(address);
		else
			top.realloc(top.ctx, (void *)address, 10);
	}
	for (i = 0; i < 200; i++) {
		for (j = 0; j < 64; j++) {
			uintptr_t address = from + i * far + j * 16 * 997;

			assert_int_equal(freed_contains(address), there[i][j]);
			assert_false(freed_contains(address + 16));
			assert_false(freed_contains(address - 16));
		}
	}
	assert_true(freed_is_sure());
	freed_end();
}

/* First and last block of a region, and of its neighbours. */
static void regions_have_edges(void **state)
{
	const uintptr_t at = 0x123400000000;

	(void)state;
	assert_int_equal(freed_begin(0), 0);
	ignores = true;
	note(at);
	assert_true(freed_contains(at));
	assert_false(freed_contains(at - 16));
	assert_false(freed_contains(at + MB));
	note(at + MB - 16);
	assert_true(freed_contains(at + MB - 16));
	assert_false(freed_contains(at + MB));
	assert_false(freed_contains(at - MB));
	freed_end();
	/* The next mark knows nothing of it. */
	ignores = false;
	assert_int_equal(freed_begin(0), 0);
	assert_false(freed_contains(at));
	freed_end();
}

static void more_than_there_is_room_for(void **state)
{
	uintptr_t i;

	(void)state;
	assert_int_equal(freed_begin(10 * MB), 0);
	ignores = true;
	/* 4096, and eight for each megabyte; what the lists are in has some. */
	for (i = 0; i < 4170; i++)
		note((i + 5) * 64 * MB);
	assert_true(freed_is_sure());
	for (i = 0; i < 4180; i++)
		note((i + 5) * 64 * MB);
	assert_false(freed_is_sure());
	for (i = 0; i < 4170; i++)
		assert_true(freed_contains((i + 5) * 64 * MB));
	freed_end();
	ignores = false;
	assert_int_equal(freed_begin(10 * MB), 0);
	assert_true(freed_is_sure());
	freed_end();
}

/* ---- whether it sees all ---- */

static void lists_are_not_from_there(void **state)
{
	(void)state;
	py.Py_DecRef = drop_nothing;
	assert_int_equal(freed_begin(MB), -ENOSYS);
	assert_true(is_base());
	assert_false(freed_is_sure());
}

static void nothing_is_sure_before_and_after(void **state)
{
	(void)state;
	assert_false(freed_is_sure());
	assert_int_equal(freed_begin(MB), 0);
	assert_true(freed_is_sure());
	freed_stop(); /* the wrapper stays: a thread may be in it */
	assert_false(freed_is_sure());
	assert_false(is_base());
	freed_end();
	assert_true(is_base());
}

static void a_tool_below(void **state)
{
	(void)state;
	tool_start(&tools[0]);
	assert_int_equal(freed_begin(MB), 0);
	assert_true(freed_is_sure());
	freed_end();
	assert_true(tool_is_on_top(&tools[0]));
	tool_stop(&tools[0]);
	assert_true(is_base());
}

/* It goes, and ours with it. Nothing is put back then. */
static void a_tool_below_that_goes(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		tool_start(&tools[0]);
		assert_int_equal(freed_begin(MB), 0);
		tool_stop(&tools[0]);
		assert_true(is_base());
		assert_false(freed_is_sure());
		sets = 0;
		freed_end();
		assert_int_equal(sets, 0);
		assert_true(is_base());
	}
}

/* Ours is put back by the tool when it goes, and used again. */
static void a_tool_on_top(void **state)
{
	void *block;
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		assert_int_equal(freed_begin(MB), 0);
		tool_start(&tools[0]);
		assert_false(freed_is_sure());
		freed_end();
		assert_true(tool_is_on_top(&tools[0]));
		/* It is below, and notes nothing. */
		block = top.malloc(top.ctx, 10);
		top.free(top.ctx, block);
		tool_stop(&tools[0]);
		assert_false(is_base());
		assert_int_equal(freed_begin(MB), 0);
		assert_true(freed_is_sure());
		freed_end();
		assert_true(is_base());
	}
}

/* One below and one on top of a tool: both are called, and what they note is the same. */
static void below_and_on_top(void **state)
{
	void *block;

	(void)state;
	assert_int_equal(freed_begin(MB), 0);
	tool_start(&tools[0]);
	freed_end();
	assert_int_equal(freed_begin(MB), 0);
	assert_true(freed_is_sure());
	block = top.malloc(top.ctx, 10);
	base_calls = 0;
	top.free(top.ctx, block);
	assert_int_equal(base_calls, 1);
	assert_true(freed_contains((uintptr_t)block));
	tool_stop(&tools[0]); /* that below is on top now */
	assert_false(freed_is_sure());
	freed_end();
	assert_true(is_base());
}

/* Two tools that do not go in the order in which they came. */
static void a_wrapper_is_never_below_itself(void **state)
{
	void *block;

	(void)state;
	assert_int_equal(freed_begin(MB), 0);
	tool_start(&tools[0]);
	tool_start(&tools[1]);
	tool_stop(&tools[0]); /* ours is on top */
	freed_end();
	assert_true(is_base());
	tool_stop(&tools[1]); /* the first one, with ours below, is back */
	assert_true(tool_is_on_top(&tools[0]));
	assert_int_equal(freed_begin(MB), 0);
	block = top.malloc(top.ctx, 10);
	top.free(top.ctx, block);
	assert_true(freed_contains((uintptr_t)block));
	freed_end();
	assert_true(tool_is_on_top(&tools[0]));
}

/* Last: they stay below for good. */
static void wrappers_run_out(void **state)
{
	int i, begun = 0;

	(void)state;
	for (i = 2; i < 20; i++) {
		int ret = freed_begin(MB);

		assert_true(ret == 0 || ret == -EBUSY);
		begun += ret == 0;
		if (ret < 0)
			assert_false(freed_is_sure());
		freed_end();
		tool_start(&tools[i]); /* never goes */
	}
	assert_in_range(begun, 4, 8);
	assert_false(freed_can_begin());
	assert_int_equal(freed_begin(MB), -EBUSY);
	assert_true(tool_is_on_top(&tools[19]));
}

/* A forked child, in the middle of a mark. */
static void what_was_inherited_is_forgotten(void **state)
{
	(void)state;
	assert_int_equal(freed_begin(MB), 0);
	freed_forget();
	assert_true(is_base());
	assert_false(freed_is_sure());
	freed_forget();
	assert_true(is_base());
	/* With a tool on top. */
	assert_int_equal(freed_begin(MB), 0);
	tool_start(&tools[0]);
	freed_forget();
	free(top.malloc(top.ctx, 10));
	tool_stop(&tools[0]);
	assert_int_equal(freed_begin(MB), 0);
	freed_end();
	assert_true(is_base());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(blocks_are_passed_on, setup),
		cmocka_unit_test_setup(all_is_noted_and_nothing_else, setup),
		cmocka_unit_test_setup(regions_have_edges, setup),
		cmocka_unit_test_setup(more_than_there_is_room_for, setup),
		cmocka_unit_test_setup(lists_are_not_from_there, setup),
		cmocka_unit_test_setup(nothing_is_sure_before_and_after, setup),
		cmocka_unit_test_setup(a_tool_below, setup),
		cmocka_unit_test_setup(a_tool_below_that_goes, setup),
		cmocka_unit_test_setup(a_tool_on_top, setup),
		cmocka_unit_test_setup(below_and_on_top, setup),
		cmocka_unit_test_setup(a_wrapper_is_never_below_itself, setup),
		cmocka_unit_test_setup(what_was_inherited_is_forgotten, setup),
		cmocka_unit_test_setup(wrappers_run_out, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

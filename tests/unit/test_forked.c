/* SPDX-License-Identifier: MIT */
/* Which forks are made ready for, and how much of what it inherited a worker looks at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rules/forked.h"

#define MB (1ull << 20)

static bool celery_is_loaded(const char *name)
{
	return strcmp(name, "celery") == 0;
}

static bool nothing_is_loaded(const char *name)
{
	(void)name;
	return false;
}

static void parents_that_do_nothing_but_fork(void **state)
{
	(void)state;
	assert_true(forked_by_module("multiprocessing.forkserver", nothing_is_loaded));
	assert_true(forked_by_module("billiard.popen_fork", celery_is_loaded));
	assert_false(forked_by_module("billiard.popen_fork", nothing_is_loaded));
	/* A program's own pool: it goes on with its data. */
	assert_false(forked_by_module("multiprocessing.popen_fork", celery_is_loaded));
	assert_false(forked_by_module("__main__", celery_is_loaded));
	assert_false(forked_by_module("", celery_is_loaded));
}

static void a_small_heap_is_left_alone(void **state)
{
	(void)state;
	assert_false(forked_is_worth(0));
	assert_false(forked_is_worth(99999));
	assert_true(forked_is_worth(100000));
	assert_true(forked_is_worth(INT64_MAX));
}

static void what_a_process_looks_at_before_it_freezes(void **state)
{
	static const struct {
		const char *what;
		struct forked process;
		int generation;
	} table[] = {
		{ "forked by nobody", { .is_child = false }, 2 },
		{ "its parent froze", { .is_child = true, .parent_froze = true }, 2 },
		{ "nobody froze", { .is_child = true }, 1 },
		/* A buffer is no object: the interpreter looks at nothing because of it. */
		{ "it has grown",
		  { .is_child = true, .resident_at_fork = 60 * MB, .resident = 200 * MB },
		  1 },
		{ "the interpreter has looked at all", { .is_child = true, .full_since = 1 }, 2 },
		{ "its start was emptied, and it has loaded little",
		  { .is_child = true,
		    .start_was_emptied = true,
		    .full_since = 3,
		    .resident_at_fork = 60 * MB,
		    .resident = 70 * MB },
		  1 },
		{ "its start was emptied, and it has loaded an application",
		  { .is_child = true,
		    .start_was_emptied = true,
		    .resident_at_fork = 60 * MB,
		    .resident = 80 * MB },
		  2 },
		{ "its start was emptied, and nobody knows how large it was",
		  { .is_child = true, .start_was_emptied = true },
		  2 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof table / sizeof *table; i++)
		if (forked_generation(&table[i].process) != table[i].generation)
			fail_msg("%s: not generation %d", table[i].what, table[i].generation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parents_that_do_nothing_but_fork),
		cmocka_unit_test(a_small_heap_is_left_alone),
		cmocka_unit_test(what_a_process_looks_at_before_it_freezes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* When the guard wants a full collection, and what happens where nobody can make it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/guard.h"

#define SECOND 1000000000ull
#define BEGUN  (100 * SECOND)

static int begin(void **state)
{
	(void)state;
	guard_begin();
	return 0;
}

static void nobody_can_guard(void **state)
{
	(void)state;
	guard_automatic(BEGUN);
	assert_false(guard_state.unguarded);
	guard_ask(GCPRELOAD_GUARD_GROWTH, BEGUN);
	assert_true(guard_state.full && guard_state.why == GCPRELOAD_GUARD_GROWTH);
	guard_ask(GCPRELOAD_GUARD_GROWTH, BEGUN + SECOND); /* since the first time */
	guard_automatic(BEGUN + 2 * SECOND - 1);
	assert_false(guard_state.unguarded);
	guard_automatic(BEGUN + 2 * SECOND);
	assert_true(guard_state.unguarded);
}

static void near_the_limit(void **state)
{
	(void)state;
	guard_near_limit(false, BEGUN);
	assert_false(guard_state.full);
	guard_ask(GCPRELOAD_GUARD_GROWTH, BEGUN);
	guard_near_limit(true, BEGUN + SECOND);
	assert_true(guard_state.full && guard_state.why == GCPRELOAD_GUARD_LIMIT);
	guard_state.full = false; /* it was made */
	guard_near_limit(true, BEGUN + 2 * SECOND);
	assert_false(guard_state.full); /* once */
	guard_near_limit(false, BEGUN + 3 * SECOND);
	assert_true(guard_state.why == GCPRELOAD_GUARD_NONE);
	guard_near_limit(true, BEGUN + 4 * SECOND);
	assert_true(guard_state.full && guard_state.since_ns == BEGUN + 4 * SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nobody_can_guard, begin),
		cmocka_unit_test_setup(near_the_limit, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* When memory and descriptors have grown so far that a collection is due. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/growth.h"

#define MB (1ull << 20)

static void memory(void **state)
{
	const struct growth then = { .resident = 100 * MB };
	const struct growth small = { .resident = 10 * MB };
	struct growth now = { .resident = 182 * MB };

	(void)state;
	assert_false(growth_is_due(&then, &now));
	now.resident++;
	assert_true(growth_is_due(&then, &now));
	now.resident = 40 * MB; /* four times as much, but little */
	assert_false(growth_is_due(&small, &now));
	/* What cannot be read says nothing. */
	now.resident = 0;
	assert_false(growth_is_due(&then, &now));
	now.resident = 1000 * MB;
	assert_false(growth_is_due(&(struct growth){ 0 }, &now));
}

static void descriptors(void **state)
{
	struct growth then = { .resident = MB, .files = 10 };
	struct growth now = { .resident = MB, .files = 511, .files_limit = 1024 };

	(void)state;
	assert_false(growth_is_due(&then, &now));
	now.files = 512;
	assert_true(growth_is_due(&then, &now));
	/* A server that has so many connections: not each time. */
	then.files = 600;
	now.files = 663;
	assert_false(growth_is_due(&then, &now));
	now.files = 664;
	assert_true(growth_is_due(&then, &now));
	now.files_limit = 0;
	assert_false(growth_is_due(&then, &now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory),
		cmocka_unit_test(descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What is done on which CPython: the table of the design, by what Py_GetVersion says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rules/recipe.h"

static void recipe_of_every_version(void **state)
{
	static const struct {
		const char *text;
		enum recipe recipe;
	} table[] = {
		{ "3.7.0 (default, Jun 27 2018) ", RECIPE_FREEZE },
		{ "3.13.0 (main, Oct  7 2024) ", RECIPE_FREEZE },
		{ "3.14.0b1 (main, May  6 2025) ", RECIPE_PREFORK },
		{ "3.14.0 (main, Oct  7 2025) ", RECIPE_PREFORK },
		{ "3.14.4 (main) ", RECIPE_PREFORK },
		{ "3.14.5 (main) ", RECIPE_FREEZE },
		{ "3.15.0a7 (main) ", RECIPE_PREFORK },
		{ "3.15.0b1 (main) ", RECIPE_FREEZE },
		{ "3.15.2 (main) ", RECIPE_FREEZE },
		{ "3.13.0 experimental free-threading build (main) ", RECIPE_OBSERVE },
		{ "3.13.9 experimental free-threading build (main) ", RECIPE_OBSERVE },
		{ "3.14.2 free-threading build (main) ", RECIPE_OBSERVE },
		{ "3.14.3 free-threading build (main) ", RECIPE_THRESHOLDS },
		{ "3.14.5 free-threading build (main) ", RECIPE_THRESHOLDS },
		{ "3.15.0 free-threading build (main) ", RECIPE_THRESHOLDS },
	};
	struct pyversion version;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof table / sizeof *table; i++) {
		assert_true(pyversion_parse(&version, table[i].text));
		assert_true(pyversion_supported(&version));
		if (recipe_for(&version) != table[i].recipe)
			fail_msg("%s: recipe %d", table[i].text, (int)recipe_for(&version));
	}
}

static void marks_only_where_the_collector_has_generations(void **state)
{
	static const struct {
		const char *text, *why;
	} table[] = {
		{ "3.7.17 (default) ", "3.8 or later" },
		{ "3.8.0 (default) ", NULL },
		{ "3.13.18 (main) ", NULL },
		{ "3.13.0 experimental free-threading build (main) ", "free-threaded" },
		{ "3.14.0rc3 (main) ", "incremental" },
		{ "3.14.4 (main) ", "incremental" },
		{ "3.14.5 (main) ", NULL },
		{ "3.14.5 free-threading build (main) ", "free-threaded" },
		{ "3.14.10 (main) ", NULL },
		{ "3.15.0a7 (main) ", "incremental" },
		{ "3.15.0b1 (main) ", NULL },
		{ "3.15.2 (main) ", NULL },
	};
	struct pyversion version;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof table / sizeof *table; i++) {
		assert_true(pyversion_parse(&version, table[i].text));
		why = recipe_no_marks(&version);
		if (!why != !table[i].why || (why && !strstr(why, table[i].why)))
			fail_msg("%s: %s", table[i].text, why ? why : "marks");
	}
}

/* Which collector runs is what the interpreter shows, whatever its number. */
static void recipe_of_what_is_shown(void **state)
{
	static const struct {
		const char *text;
		struct recipe_shown shown;
		enum recipe recipe;
		const char *why; /* NULL: nothing is refused */
	} table[] = {
		{ "3.7.17 (default) ", { { 700, 10, 10 }, 3, 64 }, RECIPE_FREEZE, NULL },
		{ "3.12.1 (main) ", { { 700, 10, 0 }, 3, 64 }, RECIPE_FREEZE, NULL },
		{ "3.13.0a4 (main) ", { { 2000, 10, 0 }, 3, 64 }, RECIPE_PREFORK, NULL },
		{ "3.13.5 (main) ", { { 2000, 10, 10 }, 3, 64 }, RECIPE_FREEZE, NULL },
		{ "3.14.4 (main) ", { { 2000, 10, 0 }, 3, 64 }, RECIPE_PREFORK, NULL },
		{ "3.14.4 (main) ", { { 2000, 10, 10 }, 3, 64 }, RECIPE_FREEZE, NULL },
		{ "3.14.9 (main) ", { { 2000, 10, 0 }, 3, 64 }, RECIPE_PREFORK, NULL },
		{ "3.15.0a7 (main) ", { { 2000, 10, 0 }, 3, 64 }, RECIPE_PREFORK, NULL },
		{ "3.15.0a8 (main) ", { { 2000, 10, 10 }, 3, 64 }, RECIPE_FREEZE, NULL },
		{ "3.15.2 (main) ", { { 2000, 10, 10 }, 3, -700 }, RECIPE_FREEZE, NULL },
		{ "3.15.2 (main) ", { { 2000, 10, 10 }, 2, 64 }, RECIPE_UNKNOWN, "none of those" },
		{ "3.14.4 free-threading build (main) ",
		  { { 2000, 10, 0 }, 3, 0 },
		  RECIPE_THRESHOLDS,
		  NULL },
		{ "3.13.0 experimental free-threading build (main) ",
		  { { 2000, 10, 10 }, 3, 0 },
		  RECIPE_OBSERVE,
		  "slower" },
		/* Memory is counted: 64 empty lists are four kilobytes. */
		{ "3.16.0a3 (main) ",
		  { { 2000, 10, 10 }, 3, 4 },
		  RECIPE_UNKNOWN,
		  "3.16's collector is not known yet: it is not that of 3.15" },
		{ "3.16.0a1 (main) ",
		  { { 2000, 10, 10 }, 3, 66 },
		  RECIPE_UNKNOWN,
		  "3.16's collector is not known yet" },
	};
	struct pyversion version;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof table / sizeof *table; i++) {
		assert_true(pyversion_parse(&version, table[i].text));
		assert_true(pyversion_supported(&version));
		recipe_recognise(&version, &table[i].shown);
		why = recipe_refuses(&version);
		if (recipe_for(&version) != table[i].recipe || !why != !table[i].why ||
		    (why && !strstr(why, table[i].why)))
			fail_msg("%zu, %s: recipe %d, %s", i, table[i].text,
				 (int)recipe_for(&version), why ? why : "not refused");
		if (table[i].recipe != RECIPE_FREEZE)
			assert_non_null(recipe_no_marks(&version));
	}
}

static void recipe_of_a_version_that_is_not_tested(void **state)
{
	struct pyversion version;

	(void)state;
	assert_true(pyversion_parse(&version, "3.16.0 (main) "));
	assert_true(pyversion_supported(&version));
	assert_int_equal(recipe_for(&version), RECIPE_UNKNOWN);
	assert_string_equal(recipe_no_marks(&version),
			    "not concurrent: it needs a collector that is known");
}

static void versions_that_are_left_alone(void **state)
{
	static const char *const texts[] = { "2.7.18 (default) ", "3.6.15 (default) ",
					     "3.17.0a1 (main) ", "4.8.0 (main) " };
	struct pyversion version;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_true(pyversion_parse(&version, texts[i]));
		assert_false(pyversion_supported(&version));
	}
	assert_false(pyversion_parse(&version, ""));
	assert_false(pyversion_parse(&version, "3"));
	assert_false(pyversion_parse(&version, "three.8"));
}

static void own_thresholds_of_each_version(void **state)
{
	static const struct {
		int minor;
		int32_t seen[GCPRELOAD_GENERATIONS], own[GCPRELOAD_GENERATIONS];
	} table[] = {
		{ 8, { 700, 10, 10 }, { 700, 10, 10 } },
		{ 13, { 2000, 10, 10 }, { 2000, 10, 10 } },
		{ 14, { 2000, 10, 0 }, { 2000, 10, 0 } },
		{ 8, { 5000, 10, 10 }, { 700, 10, 10 } },
		{ 12, { 0, 0, 0 }, { 700, 10, 10 } },
		{ 13, { 50000, 10, 10 }, { 2000, 10, 10 } },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof table / sizeof *table; i++) {
		struct pyversion version = { .major = 3, .minor = table[i].minor };
		int32_t thresholds[GCPRELOAD_GENERATIONS];

		memcpy(thresholds, table[i].seen, sizeof thresholds);
		recipe_own_thresholds(&version, thresholds);
		assert_memory_equal(thresholds, table[i].own, sizeof thresholds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recipe_of_every_version),
		cmocka_unit_test(marks_only_where_the_collector_has_generations),
		cmocka_unit_test(recipe_of_what_is_shown),
		cmocka_unit_test(recipe_of_a_version_that_is_not_tested),
		cmocka_unit_test(versions_that_are_left_alone),
		cmocka_unit_test(own_thresholds_of_each_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Mode concurrent's rules for marks, and for the memory they are there for. */
#include "test_tiers.h"

/* ---- marks ---- */

static void due_when_memory_has_grown(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	uint32_t why;

	(void)state;
	assert_false(is_due(&t, now, 100 * MB));
	/* Nothing of it can be garbage of the old generation. */
	assert_false(is_due(&t, now, 200 * MB));
	promote_some(&t, now);
	/* A quarter of .3 and 8 MB: 115.5. */
	assert_false(is_due(&t, now, 115 * MB));
	assert_true(tiers_memory(&t, now, 116 * MB, false, &why));
	assert_int_equal(why, GCPRELOAD_MARK_WHY_GROWTH);
}

static void due_when_marks_promise_garbage(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	uint32_t why;

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	mark(&t, now, t.promoted, 0); /* all of what was promoted */
	assert_true(t.yield > .99);
	while (t.promoted < 150000) {
		assert_false(is_due(&t, now, 100 * MB));
		collect(&t, now, 0, (uint64_t)t.threshold0, 200);
	}
	assert_true(tiers_memory(&t, now, 100 * MB, false, &why)); /* .3 of what lives */
	assert_int_equal(why, GCPRELOAD_MARK_WHY_GARBAGE);
	/* Where the last ones found less, more must come. */
	mark(&t, now, 0, 0);
	while (t.promoted < 299000) {
		assert_false(is_due(&t, now, 100 * MB));
		collect(&t, now, 0, (uint64_t)t.threshold0, 200);
	}
	collect(&t, now, 0, (uint64_t)t.threshold0, 200);
	assert_true(is_due(&t, now, 100 * MB));
	/* They find as much again. */
	mark(&t, now, t.promoted, 0);
	assert_true(t.yield > .99);
}

/* A mark looks at all: in a small process, not for each third of it. */
static void not_for_little_garbage(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	tiers_mark_begins(&t);
	tiers_mark_ends(&t, now, 1000, 30000, 0);
	tiers_swept(&t, now, 100 * MB);
	while (t.promoted < 16000)
		collect(&t, now, 0, (uint64_t)t.threshold0, 200);
	assert_false(is_due(&t, now, 100 * MB));
	while (t.promoted <= 21000)
		collect(&t, now, 0, (uint64_t)t.threshold0, 200);
	assert_true(is_due(&t, now, 100 * MB));
}

/* A large buffer that is gone would hide what garbage takes its room; one that comes and goes hides
 * nothing. */
static void less_memory_counts_later(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	int i;

	(void)state;
	is_due(&t, now, 1000 * MB);
	promote_some(&t, now);
	for (i = 0; i < 50; i++) {
		assert_false(is_due(&t, now, 100 * MB));
		assert_false(is_due(&t, now, 1000 * MB));
	}
	for (i = 0; i < 4000; i++)
		assert_false(is_due(&t, now, 100 * MB));
	assert_true(is_due(&t, now, 150 * MB));
}

/* 500 000 objects took 40 ms at readiness; of 4 KiB pages, a copy of 1862 MB takes as long. */
static void not_where_the_copy_is_dear(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	is_due(&t, now, 1800 * MB);
	assert_false(tiers_copy_is_dear(&t));
	is_due(&t, now, 1900 * MB);
	assert_true(tiers_copy_is_dear(&t));
	/* What the last one took is known better. */
	tiers_copied(&t, 20 * MS);
	assert_false(tiers_copy_is_dear(&t));
	is_due(&t, now, 4000 * MB);
	assert_true(tiers_copy_is_dear(&t));
	promote_some(&t, now);
	assert_false(tiers_copy_is_dear(&t));
}

/* A short one is not worth the question. */
static void short_copies_are_made(void **state)
{
	struct tiers t;

	(void)state;
	tiers_begin(&t, &limits_of_mode, 1000, MS / 10);
	is_due(&t, SECOND, 220 * MB);
	assert_false(tiers_copy_is_dear(&t));
	is_due(&t, SECOND, 250 * MB);
	assert_true(tiers_copy_is_dear(&t));
}

/* Few objects may hold many descriptors. */
static void due_by_files(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	uint32_t why;

	(void)state;
	is_due(&t, now, 100 * MB);
	assert_true(tiers_memory(&t, now, 100 * MB, true, &why));
	assert_int_equal(why, GCPRELOAD_MARK_WHY_FILES);
	mark(&t, now, 0, 100 * MS);
	assert_false(tiers_memory(&t, now + 100 * MS - 1, 100 * MB, true, &why));
	assert_true(tiers_memory(&t, now + 100 * MS, 100 * MB, true, &why));
}

static void one_at_a_time(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	assert_true(is_due(&t, now, 150 * MB));
	tiers_mark_begins(&t);
	assert_int_equal(t.promoted, 0);
	promote_some(&t, now);
	assert_false(is_due(&t, now, 500 * MB)); /* it runs */
	tiers_mark_ends(&t, now, 500000, 100000, 0);
	assert_false(is_due(&t, now, 500 * MB)); /* its garbage is swept */
	tiers_swept(&t, now, 140 * MB);
	assert_false(is_due(&t, now, 140 * MB)); /* that is what there is now */
	assert_true(is_due(&t, now, 200 * MB));
}

/* The marker may use half of a core. */
static void marks_are_spaced(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	mark(&t, now, 0, 300 * MS);
	promote_some(&t, now);
	assert_false(is_due(&t, now + 300 * MS - 1, 150 * MB));
	assert_true(is_due(&t, now + 300 * MS, 150 * MB));
	assert_true(is_due(&t, now, 250 * MB)); /* memory runs ahead: at once */
	/* Another process of the family has one: a tenth of a second, not the whole pause again. */
	now += 300 * MS;
	tiers_mark_waits(&t, now);
	assert_false(is_due(&t, now + 100 * MS - 1, 150 * MB));
	assert_true(is_due(&t, now + 100 * MS, 150 * MB));
}

static void growth_of_nothing_is_always(void **state)
{
	struct tiers_limits limits = limits_of_mode;
	struct tiers t;
	uint64_t now = 100 * SECOND;

	(void)state;
	limits.growth = 0;
	tiers_begin(&t, &limits, 500000, 40 * MS);
	assert_true(is_due(&t, now, 100 * MB));
	mark(&t, now, 0, SECOND);
	assert_true(is_due(&t, now, 100 * MB));
	tiers_mark_begins(&t);
	assert_false(is_due(&t, now, 100 * MB));
	tiers_mark_fails(&t, now); /* but not again and again where none can be */
	assert_false(is_due(&t, now + SECOND - 1, 100 * MB));
	assert_true(is_due(&t, now + SECOND, 100 * MB));
}

static void failures_back_off(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	uint64_t seconds[] = { 1, 2, 4, 8, 16, 32, 64, 64, 64 };
	uint64_t promoted;
	size_t i;

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	promoted = t.promoted;
	for (i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		tiers_mark_begins(&t);
		tiers_mark_fails(&t, now);
		assert_int_equal(t.promoted, promoted); /* nobody has looked at it */
		/* Also where memory runs ahead. */
		assert_false(is_due(&t, now + seconds[i] * SECOND - 1, 500 * MB));
		assert_true(is_due(&t, now += seconds[i] * SECOND, 500 * MB));
	}
	mark(&t, now, 0, 0);
	assert_int_equal(t.failures, 0);
	tiers_mark_begins(&t);
	tiers_mark_fails(&t, now);
	assert_true(is_due(&t, now + SECOND, 500 * MB) == (t.promoted >= 5000 || t.failures));
	assert_int_equal(t.pause_ns, SECOND);
}

/* Nobody knows when a tool in the allocator goes, and marks work then. */
static void disturbed_marks_begin_again_soon(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	uint64_t promoted;
	int i;

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	promoted = t.promoted;
	for (i = 0; i < 10; i++) {
		if (i % 2)
			tiers_mark_begins(&t);
		tiers_mark_disturbed(&t, now);
		assert_int_equal(t.promoted, promoted);
		assert_int_equal(t.failures, 1); /* memory is looked after meanwhile */
		assert_false(is_due(&t, now + SECOND - 1, 500 * MB));
		assert_true(is_due(&t, now += SECOND, 500 * MB));
	}
	mark(&t, now, 0, 0);
	assert_int_equal(t.failures, 0);
}

/* One that could not even begin looked at nothing. */
static void failures_promote_nothing(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	int i;

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	mark(&t, now, 1000, 0);
	for (i = 0; i < 10; i++)
		tiers_mark_fails(&t, now);
	assert_int_equal(t.promoted, 0);
}

static void holds_back_while_marking_alone(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	is_due(&t, now, 100 * MB);
	is_due(&t, now, 300 * MB);
	assert_false(tiers_holds_back(&t)); /* no mark */
	tiers_mark_begins(&t);
	assert_false(tiers_holds_back(&t));
	is_due(&t, now, 453 * MB); /* two fifths more than when it began, and 32 MB */
	assert_true(tiers_holds_back(&t));
	collect(&t, now, 0, 0, 240);
	assert_int_equal(t.threshold0, 700);
	is_due(&t, now, 300 * MB);
	assert_false(tiers_holds_back(&t));
	is_due(&t, now, 460 * MB);
	tiers_mark_ends(&t, now, 500000, 100000, 0);
	assert_false(tiers_holds_back(&t)); /* it is swept, faster than it comes */
	tiers_swept(&t, now, 300 * MB);
	assert_false(tiers_holds_back(&t));
	assert_int_equal(t.threshold0, 3333);
}

/* ---- the memory limit ---- */

static void near_the_limit_all_is_the_interpreters(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	tiers_near_limit(&t, true);
	assert_int_equal(t.threshold0, 700);
	assert_int_equal(t.threshold1, 10);
	assert_false(collect(&t, now, 0, 700, 240));
	assert_false(collect(&t, now, 0, 700, 240));
	assert_false(collect(&t, now, 0, 700, 240)); /* nothing is promoted */
	assert_int_equal(t.threshold0, 700);
	assert_int_equal(t.threshold1, 10);
	assert_false(collect(&t, now, 1, 700, 240)); /* but by the interpreter, to generation 2 */
	assert_int_equal(t.threshold1, 10);
	tiers_mark_fails(&t, now);
	assert_int_equal(t.threshold0, 700);
	tiers_near_limit(&t, false);
	assert_int_equal(t.threshold0, 3333);
	assert_int_equal(t.threshold1, LEASE);
}

static void somebody_has_collected_all(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	collect(&t, now, 0, 1000, 200);
	tiers_mark_begins(&t);
	tiers_mark_ends(&t, now, 500000, 10000, 0);
	collect(&t, now, 0, 500, 200);
	tiers_all_collected(&t, now, 300 * MB);
	assert_int_equal(t.promoted + (uint64_t)t.middle + t.left, 0);
	assert_false(t.out);
	assert_int_equal(tiers_slice(&t), 0);
	assert_false(is_due(&t, now, 300 * MB));
	tiers_mark_fails(&t, now);
	assert_int_equal(t.promoted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due_when_memory_has_grown),
		cmocka_unit_test(due_when_marks_promise_garbage),
		cmocka_unit_test(not_for_little_garbage),
		cmocka_unit_test(less_memory_counts_later),
		cmocka_unit_test(not_where_the_copy_is_dear),
		cmocka_unit_test(short_copies_are_made),
		cmocka_unit_test(due_by_files),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(marks_are_spaced),
		cmocka_unit_test(growth_of_nothing_is_always),
		cmocka_unit_test(failures_back_off),
		cmocka_unit_test(disturbed_marks_begin_again_soon),
		cmocka_unit_test(failures_promote_nothing),
		cmocka_unit_test(holds_back_while_marking_alone),
		cmocka_unit_test(near_the_limit_all_is_the_interpreters),
		cmocka_unit_test(somebody_has_collected_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Mode concurrent's rules for what is young, in the middle, swept and done at waits. */
#include "test_tiers.h"

/* ---- young ---- */

static void threshold_begins_with_what_readiness_took(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t);
	assert_int_equal(t.threshold0, 3333);
	assert_int_equal(t.threshold1, LEASE);
	tiers_begin(&t, &limits_of_mode, 0, 0); /* nothing was measured */
	assert_int_equal(t.threshold0, 3200);
	tiers_begin(&t, &limits_of_mode, 1000, SECOND); /* a machine that was away */
	assert_int_equal(t.threshold0, 800);
	tiers_begin(&t, &limits_of_mode, 1000000, 1);
	assert_int_equal(t.threshold0, 6400);
}

/* Near the worst: one that was slow counts half at once, and is forgotten slowly. */
static void threshold_follows_the_cost(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	int32_t first = t.threshold0, slow;
	int i;

	(void)state;
	collect(&t, now, 0, 0, 480);
	assert_int_equal(t.threshold0, 2222); /* 360 ns */
	slow = t.threshold0;
	collect(&t, now, 0, 0, 240);
	assert_in_range(t.threshold0, slow, slow + slow / 50);
	for (i = 0; i < 400; i++)
		collect(&t, now, 0, 0, 240);
	assert_in_range(t.threshold0, first - 20, first);
}

static void threshold_has_bounds(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		collect(&t, now, 0, 0, 1);
	assert_int_equal(t.threshold0, 20000);
	for (i = 0; i < 20; i++)
		collect(&t, now, 0, 0, 100000);
	assert_int_equal(t.threshold0, 700);
	/* One that was far out is not more than the most: 5 us, half of it at once. */
	begin(&t);
	collect(&t, now, 0, 0, 1e7);
	assert_true(t.look_ns <= 5000);
	/* Of too few, it is the collection itself that costs. */
	begin(&t);
	tiers_collected(&t, now, 0, 100, 0, 100, MS);
	assert_int_equal((int)t.look_ns, 240);
}

/* ---- middle ---- */

static void middle_is_looked_at_where_no_waits_come(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	/* 700 and the like again are less than half of a pause; three times are more. */
	assert_false(collect(&t, now, 0, 700, 240));
	assert_int_equal(t.threshold1, LEASE);
	assert_false(collect(&t, now, 0, 700, 240));
	assert_int_equal(t.threshold1, 0);
	assert_int_equal(t.threshold0, 3333 - 1400); /* together they fit the pause */
	/* It comes; what survives it is old. */
	assert_true(collect(&t, now, 1, 900, 240));
	assert_int_equal(t.promoted, 900);
	assert_int_equal((int)t.middle, 0);
	assert_int_equal(t.threshold0, 3333);
	assert_int_equal(t.threshold1, LEASE);
}

static void middle_is_promoted_where_too_large(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	assert_true(collect(&t, now, 0, 1700, 240)); /* more than half of a pause */
	assert_int_equal(t.promoted, 1700);
	assert_int_equal((int)t.middle, 0);
	assert_int_equal(t.threshold1, LEASE);
}

/* A wait may take 5 ms: 20 000 objects. */
static void middle_is_left_for_a_wait(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	int i;

	(void)state;
	assert_int_equal(tiers_at_wait(&t, now, 0), TIERS_NOTHING);
	for (i = 0; i < 7; i++)
		assert_false(collect(&t, now, 0, 2000, 240));
	assert_int_equal(t.threshold1, LEASE);
	assert_int_equal(tiers_at_wait(&t, now, 0), TIERS_MIDDLE);
	assert_true(collect(&t, now, 0, 2000, 240)); /* no more than what takes 3.75 ms */
	assert_int_equal(t.promoted, 16000);
	/* No wait for a second: as if none ever came. */
	assert_false(collect(&t, now + SECOND - 1, 0, 1700, 240));
	assert_true(collect(&t, now + SECOND, 0, 0, 240));
}

/* More than was thought survive: never more than was looked at, nor less than none. */
static void survivors_are_not_negative(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	tiers_collected(&t, now, 0, 1000, 0, 50000, MS / 5);
	assert_int_equal((int)t.middle, 0);
}

/* ---- sweep ---- */

static void slices_fit_a_pause(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	assert_int_equal(tiers_slice(&t), 0);
	is_due(&t, now, 100 * MB);
	tiers_mark_begins(&t);
	assert_int_equal(tiers_slice(&t), 0);
	assert_int_equal(t.threshold0, 3333);
	tiers_mark_ends(&t, now, 500000, 100000, 50 * MS);
	/* Three of 400 ns for each of 240: 555 in .8 ms. */
	assert_in_range(tiers_slice(&t), 1666, 1667);
	assert_int_equal(t.threshold0, 555);
	/* Memory runs ahead: six for each of 303. */
	is_due(&t, now, 182 * MB);
	assert_false(tiers_runs_ahead(&t));
	is_due(&t, now, 183 * MB);
	assert_true(tiers_runs_ahead(&t));
	assert_int_equal(tiers_slice(&t), 1818);
	collect(&t, now, 0, 0, 240);
	assert_int_equal(t.threshold0, 303);
	tiers_swept(&t, now, 110 * MB);
	assert_int_equal(tiers_slice(&t), 0);
	assert_int_equal(t.threshold0, 3333);
}

/* All of what became old was garbage: twice as much goes as comes, in the same pause. */
static void slices_outrun_what_comes(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	promote_some(&t, now);
	tiers_mark_begins(&t);
	tiers_mark_ends(&t, now, 500000, t.marking, 50 * MS);
	assert_true((double)tiers_slice(&t) > 2.95 * t.threshold0);
	assert_true((double)tiers_slice(&t) * t.sweep_ns + t.threshold0 * t.look_ns < .81 * MS);
	/* However dear the sweep is. */
	tiers_collected(&t, now, 0, (uint64_t)t.threshold0, 1000, 1000, 10 * MS);
	assert_true(t.sweep_ns > 4000);
	assert_int_equal(t.threshold0, 100);
	assert_int_equal(tiers_slice(&t), 300);
}

/* What memory is compared with does not grow by what came while the last garbage was swept. */
static void garbage_is_expected_as_before(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	tiers_mark_begins(&t);
	tiers_mark_ends(&t, now, 100000, t.marking, 0); /* all of it was garbage */
	tiers_swept(&t, now, 200 * MB);
	/* Memory has holes, and does not grow. */
	while (t.promoted < 145000)
		collect(&t, now, 0, (uint64_t)t.threshold0, 200);
	assert_false(tiers_runs_ahead(&t));
	while (t.promoted < 155000)
		collect(&t, now, 0, (uint64_t)t.threshold0, 200);
	assert_true(tiers_runs_ahead(&t));
}

static void slices_follow_the_cost(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);
	int i;

	(void)state;
	tiers_mark_begins(&t);
	tiers_mark_ends(&t, now, 500000, 100000, 50 * MS);
	/* Half of what the young are thought to cost is theirs. */
	tiers_collected(&t, now, 0, 1000, 1000, 2000, 120000 + 800000);
	assert_int_equal((int)t.sweep_ns, 600);
	assert_int_equal((int)t.look_ns, 240);
	for (i = 0; i < 500; i++)
		tiers_collected(&t, now, 0, 1000, 1000, 2000, 120000 + 200000);
	assert_in_range(tiers_slice(&t), 2840, 2860); /* three each of 952 */
	/* Few of them say nothing. */
	tiers_collected(&t, now, 0, 100, 100, 200, MS);
	assert_in_range(tiers_slice(&t), 2840, 2860);
}

static void long_steps_have_their_place(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	assert_false(tiers_waits_come(&t, now));
	tiers_at_wait(&t, now, 0);
	assert_true(tiers_waits_come(&t, now + SECOND - 1));
	assert_false(tiers_waits_come(&t, now + SECOND));
	is_due(&t, now, 100 * MB);
	is_due(&t, now, 200 * MB);
	assert_false(tiers_waits_come(&t, now));
}

/* ---- waits ---- */

static void due_at_a_wait(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	assert_int_equal(tiers_at_wait(&t, now, 1999), TIERS_NOTHING);
	assert_int_equal(tiers_at_wait(&t, now, 2000), TIERS_MIDDLE);
	collect(&t, now, 0, 1000, 240);
	assert_int_equal(tiers_at_wait(&t, now, 999), TIERS_NOTHING);
	assert_int_equal(tiers_at_wait(&t, now, 1000), TIERS_MIDDLE);
	/* Too long even for a wait: 6.25 ms. */
	assert_int_equal(tiers_at_wait(&t, now, 25000), TIERS_MIDDLE);
	assert_int_equal(tiers_at_wait(&t, now, 26000), TIERS_NOTHING);
	/* Where something is to be swept, this comes first, in steps of 2.5 ms. */
	tiers_mark_begins(&t);
	tiers_mark_ends(&t, now, 500000, 10000, 0);
	assert_int_equal(tiers_at_wait(&t, now, 0), TIERS_SWEEP);
	assert_int_equal(tiers_wait_slice(&t), 6250);
}

static void due_at_a_wait_adapts(void **state)
{
	struct tiers t;
	int i;

	(void)state;
	begin(&t);
	for (i = 0; i < 9; i++)
		tiers_waited(&t, 1000, 19); /* little was garbage */
	assert_int_equal(t.wait_due, 10000);
	tiers_waited(&t, 1000, 100);
	assert_int_equal(t.wait_due, 10000);
	tiers_waited(&t, 1000, 251); /* much was */
	assert_int_equal(t.wait_due, 5000);
	for (i = 0; i < 9; i++)
		tiers_waited(&t, 1000, 999);
	assert_int_equal(t.wait_due, 2000);
	tiers_waited(&t, 0, 0);
	assert_int_equal(t.wait_due, 4000);
}

/* Old objects that die are subtracted from gc.get_count(): of an application that replaces them
 * there are many more young ones than it tells. */
static void threshold_follows_what_is_young(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t), i;

	(void)state;
	for (i = 0; i < 20; i++)
		tiers_collected(&t, now, 0, 5ull * (uint64_t)t.threshold0, 0, 0,
				1200ull * (uint64_t)t.threshold0);
	assert_in_range(t.threshold0, 660, 680); /* of 3333 */
	assert_int_equal(tiers_at_wait(&t, now, 350), TIERS_NOTHING);
	/* So many are not looked at, but frozen as they are. */
	assert_in_range(tiers_most(&t, 0), 4990, 5000);
	t.promoted = 0;
	t.middle = 1000;
	tiers_overflows(&t, tiers_most(&t, 0));
	assert_in_range(t.promoted, 5990, 6000);
	assert_int_equal((int)t.middle, 0);
	assert_true(t.threshold0 < 600);
}

static void everything_is_young_near_the_limit(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t);
	tiers_near_limit(&t, true);
	assert_true(tiers_most(&t, 0) == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threshold_begins_with_what_readiness_took),
		cmocka_unit_test(threshold_follows_the_cost),
		cmocka_unit_test(threshold_has_bounds),
		cmocka_unit_test(middle_is_looked_at_where_no_waits_come),
		cmocka_unit_test(middle_is_promoted_where_too_large),
		cmocka_unit_test(middle_is_left_for_a_wait),
		cmocka_unit_test(survivors_are_not_negative),
		cmocka_unit_test(slices_fit_a_pause),
		cmocka_unit_test(slices_outrun_what_comes),
		cmocka_unit_test(garbage_is_expected_as_before),
		cmocka_unit_test(slices_follow_the_cost),
		cmocka_unit_test(long_steps_have_their_place),
		cmocka_unit_test(due_at_a_wait),
		cmocka_unit_test(due_at_a_wait_adapts),
		cmocka_unit_test(threshold_follows_what_is_young),
		cmocka_unit_test(everything_is_young_near_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Mode concurrent's rules, each with a clock, costs and a memory of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/tiers.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define MB     (1ull << 20)
#define LEASE  100 /* threshold1 where generation 1 is not to be looked at */

static const struct tiers_limits limits_of_mode = {
	.pause_ns = MS,
	.growth = .3,
	.own = { 700, 10, 10 },
};

/* 80 ns an object at readiness, 240 while the caches are cold: 3333 in four fifths of a pause. */
static uint64_t begin(struct tiers *t)
{
	tiers_begin(t, &limits_of_mode, 500000, 40 * MS);
	return 100 * SECOND;
}

/* An automatic collection of all that threshold0 allows, of which so many survive. */
static bool collect(struct tiers *t, uint64_t now, int generation, uint64_t survive, double cost)
{
	uint64_t young = (uint64_t)t->threshold0;
	uint64_t all = young + (generation ? (uint64_t)t->middle : 0);

	return tiers_collected(t, now, generation, young, 0, all - survive,
			       (uint64_t)((double)all * cost));
}

/* What a mark needs besides memory that has grown. */
static void promote_some(struct tiers *t, uint64_t now)
{
	while (t->promoted < 30000)
		collect(t, now, 0, (uint64_t)t->threshold0, 200);
}

static bool is_due(struct tiers *t, uint64_t now, uint64_t resident)
{
	uint32_t why;

	return tiers_memory(t, now, resident, false, &why);
}

/* 100 MB, and a mark that ended at that moment and found so much, swept at once. */
static void mark(struct tiers *t, uint64_t now, uint64_t garbage, uint64_t cpu_ns)
{
	tiers_mark_begins(t);
	tiers_mark_ends(t, now, 500000, garbage, cpu_ns);
	tiers_swept(t, now, 100 * MB);
}

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
	assert_int_equal(t.threshold0, 3333);
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
	for (i = 0; i < 10; i++)
		assert_false(collect(&t, now, 0, 2000, 240));
	assert_int_equal(t.threshold1, LEASE);
	assert_int_equal(tiers_at_wait(&t, now, 0), TIERS_MIDDLE);
	assert_true(collect(&t, now, 0, 2000, 240)); /* and no more than that */
	assert_int_equal(t.promoted, 22000);
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

static void slices_take_half_of_a_pause(void **state)
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
	assert_int_equal(tiers_slice(&t), 1000); /* .4 ms of 400 ns */
	assert_int_equal(t.threshold0, 1666);
	/* Memory runs ahead: three quarters. */
	is_due(&t, now, 182 * MB);
	assert_false(tiers_runs_ahead(&t));
	assert_int_equal(tiers_slice(&t), 1000);
	is_due(&t, now, 183 * MB);
	assert_true(tiers_runs_ahead(&t));
	assert_in_range(tiers_slice(&t), 1499, 1500);
	collect(&t, now, 0, 0, 240);
	assert_in_range(t.threshold0, 832, 834);
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
	assert_true((double)tiers_slice(&t) > 1.95 * t.threshold0);
	assert_true((double)tiers_slice(&t) * t.sweep_ns + t.threshold0 * t.look_ns < .81 * MS);
	/* However dear the sweep is: a tenth is left for the young. */
	tiers_collected(&t, now, 0, 1000, 1000, 2000, 10 * MS);
	assert_true(t.threshold0 >= 700);
	assert_in_range((uint64_t)((double)tiers_slice(&t) * t.sweep_ns), 700000, 720000);
}

/* What memory is compared with does not grow by what came while the last garbage was swept. */
static void garbage_is_not_what_there_should_be(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	is_due(&t, now, 100 * MB);
	promote_some(&t, now);
	tiers_mark_begins(&t);
	tiers_mark_ends(&t, now, 100000, t.marking, 0);
	while (t.promoted < 100000)
		collect(&t, now, 0, (uint64_t)t.threshold0, 200);
	tiers_swept(&t, now, 200 * MB); /* half of it garbage */
	is_due(&t, now, 180 * MB);
	assert_false(tiers_runs_ahead(&t));
	is_due(&t, now, 183 * MB);
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
	assert_int_equal(tiers_slice(&t), 666);
	assert_int_equal((int)t.look_ns, 240);
	for (i = 0; i < 500; i++)
		tiers_collected(&t, now, 0, 1000, 1000, 2000, 120000 + 200000);
	assert_in_range(tiers_slice(&t), 1990, 2000);
	/* Few of them say nothing. */
	tiers_collected(&t, now, 0, 100, 100, 200, MS);
	assert_in_range(tiers_slice(&t), 1990, 2000);
}

static void oversize_has_its_places(void **state)
{
	struct tiers t;
	uint64_t now = begin(&t);

	(void)state;
	assert_true(tiers_oversize(&t, now));
	tiers_at_wait(&t, now, 0);
	assert_false(tiers_oversize(&t, now + SECOND - 1));
	assert_true(tiers_oversize(&t, now + SECOND));
	is_due(&t, now, 100 * MB);
	is_due(&t, now, 200 * MB);
	assert_true(tiers_oversize(&t, now));
}

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
	assert_true(tiers_holds_back(&t));
	assert_int_equal(t.threshold0, 700);
	is_due(&t, now, 150 * MB);
	assert_false(tiers_holds_back(&t));
	is_due(&t, now, 300 * MB);
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
	/* Too long even for a wait: 10 ms. */
	assert_int_equal(tiers_at_wait(&t, now, 40000), TIERS_MIDDLE);
	assert_int_equal(tiers_at_wait(&t, now, 41000), TIERS_NOTHING);
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
		cmocka_unit_test(threshold_begins_with_what_readiness_took),
		cmocka_unit_test(threshold_follows_the_cost),
		cmocka_unit_test(threshold_has_bounds),
		cmocka_unit_test(middle_is_looked_at_where_no_waits_come),
		cmocka_unit_test(middle_is_promoted_where_too_large),
		cmocka_unit_test(middle_is_left_for_a_wait),
		cmocka_unit_test(survivors_are_not_negative),
		cmocka_unit_test(slices_take_half_of_a_pause),
		cmocka_unit_test(slices_outrun_what_comes),
		cmocka_unit_test(garbage_is_not_what_there_should_be),
		cmocka_unit_test(slices_follow_the_cost),
		cmocka_unit_test(oversize_has_its_places),
		cmocka_unit_test(due_when_memory_has_grown),
		cmocka_unit_test(due_when_marks_promise_garbage),
		cmocka_unit_test(not_for_little_garbage),
		cmocka_unit_test(due_by_files),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(marks_are_spaced),
		cmocka_unit_test(growth_of_nothing_is_always),
		cmocka_unit_test(failures_back_off),
		cmocka_unit_test(failures_promote_nothing),
		cmocka_unit_test(holds_back_while_marking_alone),
		cmocka_unit_test(near_the_limit_all_is_the_interpreters),
		cmocka_unit_test(due_at_a_wait),
		cmocka_unit_test(due_at_a_wait_adapts),
		cmocka_unit_test(somebody_has_collected_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

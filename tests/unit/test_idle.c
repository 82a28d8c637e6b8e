/* SPDX-License-Identifier: MIT */
/* Mode idle's rules, each with a clock and counts of the test's own: engine/tiers without marks,
 * engine/reach and engine/headroom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/headroom.h"
#include "engine/reach.h"
#include "engine/tiers.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define MB     (1ull << 20)
#define BEGUN  (100 * SECOND)

static const struct tiers_limits idle_limits = {
	.pause_ns = MS,
	.budget_ns = 20 * MS,
	.growth = .3,
	.own = { 700, 10, 10 },
};

/* A million objects were frozen, 100 ns each; 100 MB. */
static void begin(struct tiers *t, const struct tiers_limits *limits)
{
	uint32_t why;

	tiers_begin(t, limits, 1000000, 100 * MS);
	tiers_memory(t, BEGUN, 100 * MB, false, &why);
}

static enum tiers_wait ask(struct tiers *t, uint64_t now, int64_t count0, int64_t count2)
{
	tiers_note_count2(t, count2);
	return tiers_at_wait(t, now, count0);
}

static bool grows(struct tiers *t, uint64_t now, uint64_t megabytes)
{
	uint32_t why;

	return tiers_memory(t, now, megabytes * MB, false, &why);
}

/* So many objects survive until they are old, 100 ns each. */
static void get_old(struct tiers *t, uint64_t objects)
{
	t->middle = (double)objects;
	assert_false(tiers_collected(t, BEGUN, 1, 0, 0, 0, objects * 100));
}

static void assert_own(const struct tiers *t)
{
	assert_true(tiers_are_own(t));
	assert_int_equal(t->threshold0, 700);
	assert_int_equal(t->threshold1, 10);
	assert_int_equal(t->threshold2, 10);
}

static void assert_ours(const struct tiers *t)
{
	assert_false(tiers_are_own(t));
	assert_true(t->threshold0 > 700 && t->threshold1 > 10);
	assert_in_range(t->threshold2, t->count2 + 10, t->count2 + 20);
}

/* ---- young and middle ---- */

static void young_ones_fit_a_pause(void **state)
{
	struct tiers t;
	int i;

	(void)state;
	begin(&t, &idle_limits);
	for (i = 0; i < 50; i++) /* 400 ns an object */
		tiers_collected(&t, BEGUN, 0, (uint64_t)t.threshold0, 0, 1000,
				(uint64_t)t.threshold0 * 400);
	assert_in_range(t.threshold0, 1000, 2500);
	assert_ours(&t);
}

static void nothing_is_frozen(void **state)
{
	struct tiers t;
	int i;

	(void)state;
	begin(&t, &idle_limits);
	assert_true(tiers_most(&t, 0) == UINT64_MAX);
	for (i = 0; i < 200; i++)
		assert_false(tiers_collected(&t, BEGUN + 10 * SECOND, i % 10 == 0, 5000, 0, 0, MS));
}

static void due_at_a_wait_by_counts(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t, &idle_limits);
	assert_int_equal(ask(&t, BEGUN, 1999, 0), TIERS_NOTHING);
	assert_int_equal(ask(&t, BEGUN, 2000, 0), TIERS_MIDDLE);
	tiers_collected(&t, BEGUN, 0, 1500, 0, 0, MS / 10); /* all of them survive */
	assert_int_equal(ask(&t, BEGUN, 600, 0), TIERS_MIDDLE);
	tiers_waited(&t, 2100, 0); /* nothing was garbage */
	assert_int_equal(ask(&t, BEGUN, 600, 0), TIERS_NOTHING);
}

static void what_takes_longer_than_the_budget_is_the_interpreters(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t, &idle_limits);
	assert_int_equal(ask(&t, BEGUN, 1000000, 0), TIERS_REFUSED);
	assert_own(&t);
	assert_int_equal(ask(&t, BEGUN, 5000, 0), TIERS_MIDDLE);
	assert_ours(&t);
}

/* ---- old ---- */

static void full_where_memory_has_grown(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t, &idle_limits);
	get_old(&t, 50000);
	assert_false(grows(&t, BEGUN + SECOND, 106));
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 1), TIERS_NOTHING);
	assert_false(grows(&t, BEGUN + SECOND, 107)); /* but one that fits is worth it */
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 1), TIERS_FULL);
	assert_true(grows(&t, BEGUN + SECOND, 120));
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 1), TIERS_FULL);
	tiers_full(&t, BEGUN + SECOND, 120 * MB, 0, 10000, 30 * MS);
	assert_int_equal(t.live, 40000);
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 0), TIERS_NOTHING);
	/* It may take a hundredth of the time. */
	get_old(&t, 5000);
	assert_false(grows(&t, BEGUN + 4 * SECOND - MS, 140));
	assert_true(grows(&t, BEGUN + 4 * SECOND, 140));
}

static void not_where_nothing_became_old(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t, &idle_limits);
	assert_false(grows(&t, BEGUN + SECOND, 500));
}

static void full_ones_beyond_the_budget_are_the_interpreters(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t, &idle_limits);
	get_old(&t, 1000000);
	assert_false(grows(&t, BEGUN + SECOND, 110));
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 1), TIERS_NOTHING);
	assert_ours(&t);
	assert_true(grows(&t, BEGUN + SECOND, 200));
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 1), TIERS_REFUSED);
	assert_own(&t);
	/* What is young goes on. */
	assert_int_equal(ask(&t, BEGUN + SECOND, 5000, 1), TIERS_MIDDLE);
	assert_own(&t);
	/* It has made one. */
	tiers_full(&t, BEGUN + SECOND, 150 * MB, 700, 900000, 150 * MS);
	assert_ours(&t);
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 0), TIERS_NOTHING);
}

/* What was counted as survivors may have gone without a collection. */
static void old_ones_are_counted_again(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t, &idle_limits);
	get_old(&t, 1000000);
	grows(&t, BEGUN + SECOND, 200);
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 1), TIERS_REFUSED);
	tiers_recounted(&t, UINT64_MAX); /* not known */
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 1), TIERS_REFUSED);
	tiers_recounted(&t, 20000);
	assert_int_equal(ask(&t, BEGUN + SECOND, 0, 1), TIERS_FULL);
	assert_ours(&t);
}

/* "Never" is for so long as something of ours runs: a wait, or a collection that we see. */
static void full_collections_come_back_by_themselves(void **state)
{
	struct tiers t;
	int i;

	(void)state;
	begin(&t, &idle_limits);
	ask(&t, BEGUN, 0, 15);
	assert_in_range(t.threshold2, 25, 35);
	for (i = 0; i < 40; i++)
		get_old(&t, 1);
	assert_in_range(t.threshold2, 65, 75);
	/* Numbers that an application may double. */
	ask(&t, BEGUN, 0, INT32_MAX);
	assert_int_equal(t.threshold2, INT32_MAX / 2);
}

/* gc.freeze() begins the interpreter's count anew. */
static void with_marks_the_lease_begins_anew(void **state)
{
	struct tiers_limits limits = idle_limits;
	struct tiers t;
	int i;

	(void)state;
	limits.marks = true;
	begin(&t, &limits);
	for (i = 0; i < 40; i++)
		assert_true(tiers_collected(&t, BEGUN, 1, 3000, 0, 1000, MS / 2));
	assert_true(t.threshold2 <= 20);
}

/* ---- the interpreter's own way ---- */

static void reasons_for_the_interpreters_own(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t, &idle_limits);
	assert_ours(&t);
	tiers_near_limit(&t, true);
	assert_own(&t);
	tiers_out_of_reach(&t, true, true);
	tiers_near_limit(&t, false);
	tiers_out_of_reach(&t, false, true);
	assert_own(&t);
	tiers_out_of_reach(&t, true, false);
	assert_own(&t);
	tiers_out_of_reach(&t, false, false);
	assert_ours(&t);
}

static void thresholds_that_are_asked_for_stay(void **state)
{
	struct tiers_limits limits = idle_limits;
	struct tiers t;

	(void)state;
	limits.given[0] = 500000;
	limits.given[2] = 7;
	begin(&t, &limits);
	assert_true(t.threshold0 == 500000 && t.threshold1 > 10 && t.threshold2 == 7);
	tiers_near_limit(&t, true);
	assert_true(t.threshold0 == 500000 && t.threshold1 == 10 && t.threshold2 == 7);
}

static void too_much_without_a_wait(void **state)
{
	struct tiers t;

	(void)state;
	begin(&t, &idle_limits);
	tiers_collected(&t, BEGUN, 0, 5000, 0, 0, MS);
	assert_false(tiers_piles_up(&t));
	tiers_collected(&t, BEGUN, 0, 50000, 0, 0, 10 * MS);
	assert_true(tiers_piles_up(&t));
}

/* ---- whether waits come ---- */

/* gc.get_count() costs the GIL: when it will be high enough is guessed from what was seen. */
static void expected_by_rate(void **state)
{
	uint64_t now = BEGUN;
	struct reach r;

	(void)state;
	reach_begin(&r, now);
	assert_true(reach_expects(&r, now)); /* nothing is known yet */
	reach_seen(&r, now += SECOND / 10, 400);
	reach_expect(&r, 5000, 0);
	assert_false(reach_expects(&r, now));
	assert_false(reach_expects(&r, now + SECOND));	  /* 4 000 a second: 4 400 */
	assert_true(reach_expects(&r, now + 2 * SECOND)); /* 8 400 */
	reach_expect(&r, 0, 0);				  /* something is due already */
	assert_true(reach_expects(&r, now));
	reach_expect(&r, 0, now + SECOND); /* but pauses */
	assert_false(reach_expects(&r, now));
	assert_true(reach_expects(&r, now + SECOND));
}

/* One request may bring at once what takes long on average. */
static void bursts_are_looked_for_early(void **state)
{
	uint64_t now = BEGUN;
	struct reach r;
	int i;

	(void)state;
	reach_begin(&r, now);
	reach_expect(&r, 5000, 0);
	assert_true(reach_may(&r, now)); /* nothing is known yet */
	for (i = 0; i < 64; i++)
		reach_seen(&r, now, 0);
	reach_seen(&r, now += SECOND, 3000);
	reach_seen(&r, now, 0); /* collected */
	reach_expect(&r, 2000, 0);
	assert_false(reach_expects(&r, now));
	assert_true(reach_may(&r, now));
	reach_expect(&r, 2000, now + SECOND); /* pauses */
	assert_false(reach_may(&r, now));
	assert_true(reach_may(&r, now + SECOND));
	for (i = 0; i < 64; i++) /* nothing comes any more */
		reach_seen(&r, now, 0);
	reach_expect(&r, 2000, 0);
	assert_false(reach_may(&r, now));
}

/* Where nothing is expected, the absence of chances says nothing. */
static void overdue(void **state)
{
	uint64_t now = BEGUN;
	struct reach r;

	(void)state;
	reach_begin(&r, now);
	assert_false(reach_is_overdue(&r, now + SECOND - 1));
	assert_true(reach_is_overdue(&r, now + SECOND));
	reach_seen(&r, now += SECOND, 400);
	reach_expect(&r, 5000, 0);
	assert_false(reach_expects(&r, now));
	assert_false(reach_is_overdue(&r, now + SECOND - 1));
	reach_lose(&r, now + SECOND - 1);
	assert_false(r.lost);
	reach_lose(&r, now + SECOND);
	assert_true(r.lost);
	reach_chance(&r, now + 2 * SECOND);
	assert_false(r.lost);
}

/* One or two may be a burst, or a long request. */
static void lost_by_automatic_collections(void **state)
{
	struct reach r;
	int i;

	(void)state;
	reach_begin(&r, BEGUN);
	reach_automatic(&r, BEGUN + 9 * SECOND, true);
	reach_automatic(&r, BEGUN + 9 * SECOND, true);
	assert_false(r.lost);
	reach_automatic(&r, BEGUN + 9 * SECOND, false);
	assert_true(r.lost);
	reach_chance(&r, BEGUN + 10 * SECOND);
	for (i = 0; i < 10; i++)
		reach_automatic(&r, BEGUN + 10 * SECOND + MS, false);
	assert_false(r.lost);
	reach_automatic(&r, BEGUN + 10 * SECOND + MS, true);
	assert_true(r.lost);
	reach_chance(&r, BEGUN + 10 * SECOND);
	reach_automatic(&r, BEGUN + 10 * SECOND + MS, true);
	assert_false(r.lost);
}

static void says_why(const struct reach *r, const char *why)
{
	const char *word = reach_word(r);

	if (strncmp(word, why, strlen(why)) != 0)
		fail_msg("%s, and not: %s", word, why);
}

/* "No idle moment" is not said of a process that waits nearly all the time. */
static void why_they_stay_away(void **state)
{
	struct reach r;
	int i;

	(void)state;
	reach_begin(&r, BEGUN);
	says_why(&r, "its waits are not known");
	reach_chance(&r, BEGUN);
	/* One request, long after which it waits again. */
	for (i = 0; i < 3; i++)
		reach_automatic(&r, BEGUN + MS, true);
	assert_true(r.lost);
	says_why(&r, "too much survives between two waits");
	reach_automatic(&r, BEGUN + 2 * MS, true);
	says_why(&r, "too much survives between two waits");
	/* It waits, and a thread of its own is at work. */
	reach_refused(&r);
	says_why(&r, "other threads at work at each wait");
	reach_chance(&r, BEGUN + SECOND);
	for (i = 0; i < 3; i++)
		reach_automatic(&r, BEGUN + 3 * SECOND, false);
	assert_true(r.lost);
	says_why(&r, "no idle moment for a second");
}

/* ---- the machine ---- */

static void memory_limit(void **state)
{
	struct machine machine = { .limit = 1000 * MB };
	struct headroom h = { .near = false };

	(void)state;
	machine.used = 850 * MB;
	headroom_look(&h, BEGUN, &machine);
	assert_false(h.near);
	machine.used = 950 * MB;
	headroom_look(&h, BEGUN, &machine);
	assert_true(h.near);
	machine.used = 850 * MB; /* not far enough below */
	headroom_look(&h, BEGUN, &machine);
	assert_true(h.near);
	machine.used = 700 * MB;
	headroom_look(&h, BEGUN, &machine);
	assert_false(h.near);
}

static void cpu_quota(void **state)
{
	struct machine machine = { .throttled_ns = 5 };
	struct headroom h = { .near = false };

	(void)state;
	headroom_look(&h, BEGUN, &machine); /* before our time */
	assert_int_equal(h.paused_until_ns, 0);
	machine.throttled_ns += MS;
	headroom_look(&h, BEGUN + SECOND, &machine);
	assert_int_equal(h.paused_until_ns, BEGUN + 3 * SECOND);
	machine.throttled_ns += MS; /* again: longer */
	headroom_look(&h, BEGUN + 4 * SECOND, &machine);
	assert_int_equal(h.paused_until_ns, BEGUN + 8 * SECOND);
}

static void machine_once_a_second(void **state)
{
	struct machine machine = { .resident = MB };
	struct headroom h = { .near = false };

	(void)state;
	assert_true(headroom_is_due(&h, BEGUN));
	headroom_look(&h, BEGUN, &machine);
	assert_false(headroom_is_due(&h, BEGUN + SECOND - 1));
	assert_true(headroom_is_due(&h, BEGUN + SECOND));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(young_ones_fit_a_pause),
		cmocka_unit_test(nothing_is_frozen),
		cmocka_unit_test(due_at_a_wait_by_counts),
		cmocka_unit_test(what_takes_longer_than_the_budget_is_the_interpreters),
		cmocka_unit_test(full_where_memory_has_grown),
		cmocka_unit_test(not_where_nothing_became_old),
		cmocka_unit_test(full_ones_beyond_the_budget_are_the_interpreters),
		cmocka_unit_test(old_ones_are_counted_again),
		cmocka_unit_test(full_collections_come_back_by_themselves),
		cmocka_unit_test(with_marks_the_lease_begins_anew),
		cmocka_unit_test(reasons_for_the_interpreters_own),
		cmocka_unit_test(thresholds_that_are_asked_for_stay),
		cmocka_unit_test(too_much_without_a_wait),
		cmocka_unit_test(expected_by_rate),
		cmocka_unit_test(bursts_are_looked_for_early),
		cmocka_unit_test(overdue),
		cmocka_unit_test(lost_by_automatic_collections),
		cmocka_unit_test(why_they_stay_away),
		cmocka_unit_test(memory_limit),
		cmocka_unit_test(cpu_quota),
		cmocka_unit_test(machine_once_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

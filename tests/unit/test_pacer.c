/* SPDX-License-Identifier: MIT */
/* Mode idle's rules, each with a clock and counts of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/pacer.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define MB     (1ull << 20)

static const struct pacer_limits idle_limits = {
	.young_ns = 10 * MS,
	.budget_ns = 20 * MS,
	.own = { 700, 10, 10 },
	.top = 50000,
	.net = 500000,
	.idle = true,
};

/* A million objects were frozen, 100 ns each. */
static uint64_t begin(struct pacer *p, const struct pacer_limits *limits)
{
	pacer_begin(p, limits, 100 * SECOND, 1000000, 100 * MS);
	return 100 * SECOND;
}

static enum pacer_due ask(struct pacer *p, uint64_t now, int64_t count0, int64_t count1,
			  int *generation)
{
	const int64_t counts[GCPRELOAD_GENERATIONS] = { count0, count1, 0 };

	*generation = -1;
	return pacer_due(p, now, counts, generation);
}

static void due_by_counts(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	assert_int_equal(p.threshold0, 12000); /* nothing was measured yet */
	assert_int_equal(ask(&p, now, p.young_due - 1, 0, &generation), PACER_NOTHING);
	assert_int_equal(ask(&p, now, p.young_due, 0, &generation), PACER_DUE);
	assert_int_equal(generation, 0);
	assert_int_equal(ask(&p, now, p.young_due, 11, &generation), PACER_DUE);
	assert_int_equal(generation, 1);
}

static void due_by_yield(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int32_t first = p.young_due, low;
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		pacer_collected(&p, now, 0, 10000, 9000, MS);
	assert_true(p.young_due < first);
	low = p.young_due;
	for (i = 0; i < 20; i++)
		pacer_collected(&p, now, 0, 10000, 0, MS / 10);
	assert_true(p.young_due > first && p.young_due > low);
}

static void costly_young_ones_come_earlier(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int i;

	(void)state;
	for (i = 0; i < 20; i++) /* 10 us an object, a tenth of it garbage */
		pacer_collected(&p, now, 0, 10000, 1000, 100 * MS);
	assert_in_range(p.young_due, 700, 1000);
}

static void budget(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	pacer_collected(&p, now, 0, 10000, 1000, MS); /* 100 ns each */
	assert_int_equal(ask(&p, now, 150000, 0, &generation), PACER_DUE);
	assert_int_equal(ask(&p, now, 250000, 0, &generation), PACER_BUDGET);
}

/* Before a chance was measured: by what an automatic collection took. */
static void budget_at_first(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	assert_int_equal(ask(&p, now, 30000, 0, &generation), PACER_BUDGET);
	pacer_automatic(&p, now, 0, 7000, 3600000); /* 300 ns */
	assert_int_equal(ask(&p, now, 60000, 0, &generation), PACER_DUE);
	assert_int_equal(ask(&p, now, 70000, 0, &generation), PACER_BUDGET);
}

/* Survivors make the old generation due, and its measured cost decides. */
static void old_generation(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	pacer_collected(&p, now, 0, 40000, 0, 4 * MS);
	now += 6 * SECOND;
	assert_int_equal(ask(&p, now, 0, 0, &generation), PACER_DUE);
	assert_int_equal(generation, 2);
	pacer_collected(&p, now, 2, 0, 10000, 4 * MS);
	assert_int_equal(ask(&p, now + MS, 0, 0, &generation), PACER_NOTHING);
	/* A quarter more, but too soon; then in time: a hundredth of it is the most. */
	pacer_collected(&p, now, 0, 40000, 0, 4 * MS);
	assert_int_equal(ask(&p, now + SECOND - MS, 0, 0, &generation), PACER_NOTHING);
	assert_int_equal(ask(&p, now + SECOND, 0, 0, &generation), PACER_DUE);
	pacer_collected(&p, now, 2, 0, 10000, 30 * MS);
	pacer_collected(&p, now, 0, 40000, 0, 4 * MS);
	assert_int_equal(ask(&p, now + 3 * SECOND - MS, 0, 0, &generation), PACER_NOTHING);
	assert_int_equal(ask(&p, now + 3 * SECOND, 0, 0, &generation), PACER_DUE);
	/* Too large for the budget: the young alone, where they are due. */
	pacer_collected(&p, now, 0, 900000, 0, 90 * MS);
	now += 6 * SECOND;
	assert_int_equal(ask(&p, now, 0, 0, &generation), PACER_BUDGET);
	assert_int_equal(ask(&p, now, p.young_due, 0, &generation), PACER_DUE);
	assert_true(generation < 2);
}

/* Full collections that find nothing come more and more seldom. */
static void old_ones_that_live(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits), apart[4];
	int generation, i;

	(void)state;
	for (i = 0; i < 4; i++) { /* the old generation grows by more than a quarter */
		pacer_collected(&p, now, 0, 60000, 0, MS);
		for (apart[i] = 0; ask(&p, now += SECOND / 4, 0, 0, &generation) != PACER_DUE;)
			apart[i] += SECOND / 4;
		assert_int_equal(generation, 2);
		pacer_collected(&p, now, 2, 0, 0, MS);
	}
	assert_true(apart[3] >= 2 * apart[2] && apart[2] >= 2 * apart[1]);
}

/* What was counted as survivors may have gone without a collection. */
static void old_ones_are_counted_again(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits) + 60 * SECOND;
	int generation;

	(void)state;
	pacer_collected(&p, now, 0, 900000, 0, 90 * MS);
	assert_int_equal(ask(&p, now, 0, 0, &generation), PACER_BUDGET);
	assert_true(pacer_recount_due(&p, now));
	pacer_recounted(&p, now, 100000);
	assert_false(pacer_recount_due(&p, now + 9 * SECOND));
	assert_true(pacer_recount_due(&p, now + 10 * SECOND));
	assert_int_equal(ask(&p, now, 0, 0, &generation), PACER_DUE);
	pacer_recounted(&p, now, UINT64_MAX); /* not known: as before */
	assert_int_equal(p.old, 100000);
}

/* What survived the first generation counts as old before it is, so what a collection of the
 * second frees of it does so no longer. */
static void what_dies_young_is_not_old(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);

	(void)state;
	pacer_collected(&p, now, 0, 10000, 0, MS);
	assert_int_equal(p.old, 10000);
	pacer_collected(&p, now, 1, 5000, 12000, MS);
	assert_int_equal(p.old, 3000);
	pacer_automatic(&p, now, 1, 1000000, MS);
	assert_int_equal(p.old, 0);
}

static void lasts_for(struct pacer *p, int64_t count2)
{
	assert_in_range(p->threshold2, count2 + PACER_LEASE / 2, count2 + PACER_LEASE);
}

/* The interpreter's full collections would come in requests; where none of ours can come, and near
 * the memory limit, they must. */
static void full_collections_are_ours(void **state)
{
	struct machine machine = { .resident = MB, .limit = 100 * MB, .used = 95 * MB };
	struct pacer_limits limits = idle_limits;
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	lasts_for(&p, 0);
	assert_true(pacer_unreached(&p, now += SECOND));
	lasts_for(&p, 0); /* a million are frozen */
	while (p.old + (uint64_t)p.threshold0 < 250000) {
		pacer_automatic(&p, now, 0, 0, MS);
		lasts_for(&p, 0);
	}
	assert_true(pacer_automatic(&p, now, 0, 0, MS));
	assert_int_equal(p.threshold2, 10);
	assert_true(pacer_automatic(&p, now, 2, 200000, MS));
	lasts_for(&p, 0);
	pacer_collected(&p, now, 0, 20000, 100, MS);
	lasts_for(&p, 0);
	pacer_machine(&p, now += SECOND, &machine);
	assert_int_equal(p.threshold2, 10);
	machine.used = MB;
	pacer_machine(&p, now += SECOND, &machine);
	lasts_for(&p, 0);
	ask(&p, now, 0, 0, &generation);
	limits.idle = false;
	begin(&p, &limits);
	assert_int_equal(p.threshold2, 10);
}

/* "Never" is for so long as something of ours runs: a chance, or a collection that we see. */
static void full_collections_come_back_by_themselves(void **state)
{
	int64_t counts[GCPRELOAD_GENERATIONS] = { 0, 0, 15 };
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation, i;

	(void)state;
	pacer_due(&p, now, counts, &generation);
	lasts_for(&p, 15);
	for (i = 0; i < 40; i++)
		pacer_automatic(&p, now, 1, 1000000, MS);
	lasts_for(&p, 55);
	/* Numbers that an application may double. */
	counts[2] = INT32_MAX;
	pacer_due(&p, now, counts, &generation);
	assert_true(p.threshold2 <= INT32_MAX / 2);
	/* Where young ones leave little, the count alone makes a full one due. */
	counts[2] = 100;
	assert_int_equal(pacer_due(&p, now + SECOND, counts, &generation), PACER_DUE);
	assert_int_equal(generation, 2);
	pacer_collected(&p, now + SECOND, 2, 0, 0, MS);
	lasts_for(&p, 0);
}

/* The guard's collection has no place: as the interpreter would have it, until a chance comes. */
static void nobody_can_guard(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);

	(void)state;
	pacer_grown(&p, now);
	assert_int_equal(p.guard, GCPRELOAD_GUARD_GROWTH);
	pacer_automatic(&p, now + 2 * SECOND - 1, 0, 0, MS);
	assert_false(p.unguarded);
	assert_true(pacer_automatic(&p, now + 2 * SECOND, 0, 0, MS));
	assert_int_equal(p.threshold0, 700);
	assert_int_equal(p.threshold2, 10);
	assert_false(pacer_automatic(&p, now + 3 * SECOND, 0, 0, MS / 100));
	pacer_guarded(&p, now + 4 * SECOND, MB, 100, MS);
	assert_true(p.threshold0 > 700);
	lasts_for(&p, 0);
}

/* gc.get_count() costs the GIL: when it will be high enough is guessed from what was seen. */
static void expected_by_rate(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	assert_true(pacer_expects(&p, now)); /* nothing is known yet */
	ask(&p, now += SECOND / 10, 400, 0, &generation);
	assert_false(pacer_expects(&p, now));
	assert_false(pacer_expects(&p, now + SECOND));	  /* 4 000 a second: 4 400 */
	assert_true(pacer_expects(&p, now + 2 * SECOND)); /* 8 400 */
	/* Where nothing is expected, the absence of chances says nothing. */
	assert_false(pacer_expects(&p, now += SECOND));
	assert_false(pacer_out_of_reach(&p, now + SECOND / 4 - 1));
	pacer_collected(&p, now, 0, 5000, 4000, MS);
	assert_false(pacer_expects(&p, now + SECOND / 10));
	/* The interpreter's own collections tell, too: 12 000 in a tenth of a second. */
	pacer_automatic(&p, now += SECOND / 10, 0, 0, MS);
	assert_true(pacer_expects(&p, now + SECOND / 5));
}

/* Where collections run in requests, a chance comes first only if it takes less than they. */
static void fallen_back_is_due_earlier(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	pacer_automatic(&p, now, 0, 0, 60 * MS); /* 5 us an object */
	assert_true(pacer_unreached(&p, now += SECOND));
	assert_in_range(p.threshold0, 1900, 2100);
	assert_int_equal(ask(&p, now, p.threshold0 / 2 - 1, 0, &generation), PACER_NOTHING);
	assert_int_equal(ask(&p, now, p.threshold0 / 2, 0, &generation), PACER_DUE);
}

static void never_waits(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation, i;

	(void)state;
	for (i = 0; i < 10 && !p.fallen_back; i++)
		pacer_automatic(&p, now += SECOND, 0, 100, MS);
	assert_true(p.fallen_back);
	assert_true(p.threshold0 <= 50000);
	/* A chance that brings a collection brings it back. */
	assert_int_equal(ask(&p, now, p.young_due, 0, &generation), PACER_DUE);
	pacer_collected(&p, now, generation, 20000, 100, MS);
	assert_false(p.fallen_back);
	assert_true(p.threshold0 > 50000);
	/* And with chances in between it never falls. */
	for (i = 0; i < 20; i++) {
		pacer_automatic(&p, now += SECOND, 0, 100, MS);
		ask(&p, now, 0, 0, &generation);
	}
	assert_false(p.fallen_back);
}

/* Mode freeze: from the first one on. */
static void threshold_follows_young_pauses(void **state)
{
	struct pacer_limits limits = idle_limits;
	struct pacer p;
	uint64_t now;
	int i;

	(void)state;
	limits.idle = false;
	limits.net = limits.top;
	now = begin(&p, &limits);
	assert_int_equal(p.threshold0, 10000);		  /* 10 ms, by a microsecond each */
	pacer_begin(&p, &limits, now, 1000000, 500 * MS); /* what lives cost 500 ns each */
	assert_int_equal(p.threshold0, 5000);
	assert_true(pacer_automatic(&p, now, 0, 0, 50 * MS));
	assert_int_equal(p.threshold0, 1000);
	for (i = 0; i < 100; i++)
		pacer_automatic(&p, now, 0, 0, 500 * MS);
	assert_int_equal(p.threshold0, 700); /* never below the interpreter's own */
	for (i = 0; i < 1000; i++)
		pacer_automatic(&p, now, 0, 0, MS / 10);
	assert_int_equal(p.threshold0, 50000);
	/* What the settings ask for stands until something was measured. */
	limits.asked = true;
	now = begin(&p, &limits);
	assert_int_equal(p.threshold0, 50000);
	assert_true(pacer_automatic(&p, now, 0, 0, 50 * MS));
	assert_int_equal(p.threshold0, 10000);
	limits.young_ns = 0;
	now = begin(&p, &limits);
	for (i = 0; i < 10; i++)
		assert_false(pacer_automatic(&p, now, 0, 0, 50 * MS));
	assert_int_equal(p.threshold0, 50000);
}

static void memory_limit(void **state)
{
	struct machine machine = { .resident = 100 * MB, .limit = 1000 * MB };
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	machine.used = 850 * MB;
	assert_false(pacer_machine(&p, now, &machine));
	machine.used = 950 * MB;
	assert_true(pacer_machine(&p, now += SECOND, &machine));
	assert_int_equal(p.guard, GCPRELOAD_GUARD_LIMIT);
	assert_int_equal(p.threshold0, 700);
	assert_int_equal(ask(&p, now, 0, 0, &generation), PACER_DUE);
	assert_int_equal(generation, 2);
	pacer_guarded(&p, now, 100 * MB, 0, MS);
	assert_false(p.guard_full);
	machine.used = 850 * MB; /* not far enough below */
	pacer_machine(&p, now += SECOND, &machine);
	assert_int_equal(p.guard, GCPRELOAD_GUARD_LIMIT);
	machine.used = 700 * MB;
	assert_true(pacer_machine(&p, now += SECOND, &machine));
	assert_int_equal(p.guard, GCPRELOAD_GUARD_NONE);
	assert_int_equal(p.threshold0, 12000);
}

static void memory_growth(void **state)
{
	struct machine machine = { .resident = 100 * MB };
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);

	(void)state;
	pacer_machine(&p, now, &machine);
	machine.resident = 200 * MB;
	/* Nothing of it is the collector's. */
	assert_false(pacer_machine(&p, now += 6 * SECOND, &machine));
	pacer_collected(&p, now, 0, 400000, 0, 40 * MS);
	assert_true(pacer_machine(&p, now += SECOND, &machine));
	assert_int_equal(p.guard, GCPRELOAD_GUARD_GROWTH);
	pacer_guarded(&p, now, 180 * MB, 300000, 50 * MS);
	assert_int_equal(p.guard, GCPRELOAD_GUARD_NONE);
	/* What is left is in use. */
	pacer_collected(&p, now, 0, 400000, 0, 40 * MS);
	machine.resident = 190 * MB;
	assert_false(pacer_machine(&p, now += 6 * SECOND, &machine));
}

static void cpu_quota(void **state)
{
	struct machine machine = { .resident = MB, .throttled_ns = 5 };
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	pacer_machine(&p, now, &machine); /* before our time */
	assert_int_equal(ask(&p, now, 10000, 0, &generation), PACER_DUE);
	machine.throttled_ns += MS;
	pacer_machine(&p, now += SECOND, &machine);
	assert_int_equal(ask(&p, now, 10000, 0, &generation), PACER_PAUSED);
	assert_int_equal(ask(&p, now + 3 * SECOND, 10000, 0, &generation), PACER_DUE);
	machine.throttled_ns += MS; /* again: longer */
	pacer_machine(&p, now += SECOND, &machine);
	assert_int_equal(ask(&p, now + 3 * SECOND, 10000, 0, &generation), PACER_PAUSED);
}

static void machine_once_a_second(void **state)
{
	struct machine machine = { .resident = MB };
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);

	(void)state;
	assert_true(pacer_machine_due(&p, now));
	pacer_machine(&p, now, &machine);
	assert_false(pacer_machine_due(&p, now + SECOND - 1));
	assert_true(pacer_machine_due(&p, now + SECOND));
}

static void always_busy(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int generation;

	(void)state;
	assert_false(pacer_unreached(&p, now + SECOND / 4 - 1));
	assert_int_equal(p.threshold0, 12000);
	ask(&p, now + SECOND, 0, 0, &generation); /* a chance */
	assert_false(pacer_unreached(&p, now + SECOND + SECOND / 4 - 1));
	assert_true(pacer_unreached(&p, now + SECOND + SECOND / 4));
	assert_int_equal(p.threshold0, 10000); /* 10 ms */
	assert_false(pacer_unreached(&p, now + 2 * SECOND));
	pacer_collected(&p, now + 3 * SECOND, 0, 20000, 10000, MS);
	assert_int_equal(p.threshold0, 12000);
}

/* What waits for a chance too long is one collection in a request: it takes the budget at most. */
static void net_follows_the_cost(void **state)
{
	struct pacer p;
	uint64_t now = begin(&p, &idle_limits);
	int32_t low;
	int i;

	(void)state;
	pacer_collected(&p, now, 0, 10000, 9000, 4 * MS);
	assert_int_equal(p.threshold0, 12000);
	for (i = 0; i < 50; i++)
		pacer_collected(&p, now, 0, 100000, 0, MS / 2); /* 5 ns, nothing found */
	assert_int_equal(p.threshold0, 2 * p.young_due);
	assert_true(p.young_due > 5000);
	low = p.threshold0;
	pacer_automatic(&p, now, 0, 0, MS); /* 5 ns: twice as many as were measured */
	assert_int_equal(p.threshold0, 2 * low);
	pacer_automatic(&p, now, 0, 0, MS);
	pacer_automatic(&p, now, 0, 0, MS);
	assert_int_equal(p.threshold0, 500000);
	assert_true(p.young_due >= 5000);
	for (i = 0; i < 50; i++)
		pacer_automatic(&p, now, 0, 5000, 50 * MS);
	assert_in_range(p.threshold0, 10000, 11000);
	assert_true(p.young_due <= p.threshold0 / 2);
}

/* One that took long is not to be repeated; and it may have been the machine's. */
static void net_remembers_the_longest(void **state)
{
	struct pacer_limits limits = idle_limits;
	struct pacer p;
	uint64_t now = begin(&p, &limits);
	int32_t low;
	int i;

	(void)state;
	for (i = 0; i < 4; i++)
		pacer_automatic(&p, now, 0, 0, (uint64_t)p.threshold0 * 100); /* 100 ns */
	assert_in_range(p.threshold0, 99999, 100000);			      /* 10 ms */
	pacer_automatic(&p, now, 0, 0, 50 * MS);
	assert_in_range(p.threshold0, 19999, 20001);
	low = p.threshold0;
	pacer_automatic(&p, now, 0, 0, (uint64_t)p.threshold0 * 100);
	assert_in_range(p.threshold0, low, 2 * low - 1);
	/* The lower of two limits. */
	limits.budget_ns = 5 * MS;
	begin(&p, &limits);
	for (i = 0; i < 4; i++)
		pacer_automatic(&p, now, 0, 0, (uint64_t)p.threshold0 * 100);
	assert_in_range(p.threshold0, 49999, 50001);
	limits.young_ns = 0; /* no limit */
	limits.budget_ns = 20 * MS;
	begin(&p, &limits);
	for (i = 0; i < 6; i++)
		pacer_automatic(&p, now, 0, 0, (uint64_t)p.threshold0 * 100);
	assert_in_range(p.threshold0, 199999, 200001);
}

static void startup_is_over(void **state)
{
	struct machine machine = { .resident = 100 * MB };
	struct pacer_startup startup;

	(void)state;
	pacer_startup_begin(&startup, 5 * SECOND, &machine);
	machine.resident = 612 * MB;
	assert_null(pacer_startup_over(&startup, 65 * SECOND, &machine));
	assert_non_null(pacer_startup_over(&startup, 65 * SECOND + 1, &machine));
	machine.resident++;
	assert_non_null(pacer_startup_over(&startup, 65 * SECOND, &machine));
	machine.resident = 100 * MB;
	machine.limit = 200 * MB;
	machine.used = 100 * MB;
	assert_null(pacer_startup_over(&startup, 65 * SECOND, &machine));
	machine.used++;
	assert_non_null(pacer_startup_over(&startup, 65 * SECOND, &machine));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due_by_counts),
		cmocka_unit_test(due_by_yield),
		cmocka_unit_test(costly_young_ones_come_earlier),
		cmocka_unit_test(budget),
		cmocka_unit_test(budget_at_first),
		cmocka_unit_test(old_generation),
		cmocka_unit_test(old_ones_that_live),
		cmocka_unit_test(old_ones_are_counted_again),
		cmocka_unit_test(what_dies_young_is_not_old),
		cmocka_unit_test(full_collections_are_ours),
		cmocka_unit_test(full_collections_come_back_by_themselves),
		cmocka_unit_test(nobody_can_guard),
		cmocka_unit_test(expected_by_rate),
		cmocka_unit_test(fallen_back_is_due_earlier),
		cmocka_unit_test(never_waits),
		cmocka_unit_test(threshold_follows_young_pauses),
		cmocka_unit_test(memory_limit),
		cmocka_unit_test(memory_growth),
		cmocka_unit_test(cpu_quota),
		cmocka_unit_test(machine_once_a_second),
		cmocka_unit_test(always_busy),
		cmocka_unit_test(net_follows_the_cost),
		cmocka_unit_test(net_remembers_the_longest),
		cmocka_unit_test(startup_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

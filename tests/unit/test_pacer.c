/* SPDX-License-Identifier: MIT */
/* Mode freeze's threshold0, and the end of GCPRELOAD_STARTUP_GC=0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/pacer.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define MB     (1ull << 20)

static const struct pacer_limits limits = { .young_ns = 10 * MS, .least = 700, .top = 50000 };

/* From the first collection on. */
static void threshold_follows_young_pauses(void **state)
{
	struct pacer p;
	int i;

	(void)state;
	pacer_begin(&p, &limits, 1000000, 100 * MS);
	assert_int_equal(p.threshold0, 10000);	     /* 10 ms, by a microsecond each */
	pacer_begin(&p, &limits, 1000000, 500 * MS); /* what lives cost 500 ns each */
	assert_int_equal(p.threshold0, 5000);
	pacer_automatic(&p, 50 * MS);
	assert_int_equal(p.threshold0, 1000);
	for (i = 0; i < 100; i++)
		pacer_automatic(&p, 500 * MS);
	assert_int_equal(p.threshold0, 700); /* never below the interpreter's own */
	for (i = 0; i < 1000; i++)
		pacer_automatic(&p, MS / 10);
	assert_int_equal(p.threshold0, 50000);
}

static void what_is_asked_for_stands_until_something_was_measured(void **state)
{
	struct pacer_limits asked = limits;
	struct pacer p;
	int i;

	(void)state;
	asked.asked = true;
	pacer_begin(&p, &asked, 1000000, 100 * MS);
	assert_int_equal(p.threshold0, 50000);
	pacer_automatic(&p, 50 * MS);
	assert_int_equal(p.threshold0, 10000);
	asked.young_ns = 0;
	pacer_begin(&p, &asked, 1000000, 100 * MS);
	for (i = 0; i < 10; i++)
		pacer_automatic(&p, 50 * MS);
	assert_int_equal(p.threshold0, 50000);
}

/* One that took long is not to be repeated; and it may have been the machine's. */
static void the_longest_counts_and_is_forgotten_slowly(void **state)
{
	struct pacer p;
	int32_t low;
	int i;

	(void)state;
	pacer_begin(&p, &limits, 1000000, 100 * MS);
	pacer_automatic(&p, MS / 10); /* 10 ns */
	assert_int_equal(p.threshold0, 20000);
	pacer_begin(&p, &limits, 1000000, 100 * MS);
	for (i = 0; i < 4; i++) /* 200 ns, and twice as many as were measured at the most */
		pacer_automatic(&p, (uint64_t)p.threshold0 * 200);
	assert_in_range(p.threshold0, 49999, 50000);
	pacer_automatic(&p, 50 * MS);
	assert_in_range(p.threshold0, 9999, 10001);
	low = p.threshold0;
	pacer_automatic(&p, (uint64_t)p.threshold0 * 200);
	assert_in_range(p.threshold0, low, 2 * low - 1);
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
		cmocka_unit_test(threshold_follows_young_pauses),
		cmocka_unit_test(what_is_asked_for_stands_until_something_was_measured),
		cmocka_unit_test(the_longest_counts_and_is_forgotten_slowly),
		cmocka_unit_test(startup_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

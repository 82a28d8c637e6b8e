/* SPDX-License-Identifier: MIT */
/* What is said of fleets whose numbers we made. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/rank.h"

#define SEEDS 2000
#define MOST  64

static unsigned short seed[3];

/* A pod like another, some of it more or less: a product of chances has a long tail upwards. */
static double pod(double middle, double spread)
{
	int i;

	for (i = 0; i < 12; i++)
		middle *= 1 + spread * (erand48(seed) - .5);
	return middle;
}

static void make_fleet(double *pods, size_t n, double middle, double spread)
{
	size_t i;

	for (i = 0; i < n; i++)
		pods[i] = pod(middle, spread);
}

/* Of so many fleets, in how many a gain or a loss would be claimed. */
static double claims(size_t n_a, size_t n_b, double times, double spread)
{
	double a[MOST], b[MOST];
	struct rank_interval r;
	int i, n = 0;

	for (i = 0; i < SEEDS; i++) {
		seed[0] = (unsigned short)i;
		seed[1] = (unsigned short)(n_a * 100 + n_b);
		seed[2] = 7;
		make_fleet(a, n_a, .02, spread);
		make_fleet(b, n_b, .02 * times, spread);
		assert_true(rank_compare(&r, a, n_a, b, n_b));
		assert_true(r.low <= r.ratio && r.ratio <= r.high);
		n += r.low > 1 || r.high < 1;
	}
	return (double)n / SEEDS;
}

static void equal_fleets_have_no_gain(void **state)
{
	static const struct {
		size_t a, b;
		double spread;
	} fleets[] = { { 4, 4, .1 },   { 4, 20, .5 },  { 7, 5, .3 },   { 12, 12, 1 },
		       { 30, 30, .3 }, { 50, 50, .1 }, { 64, 20, .3 }, { 64, 64, 2 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof fleets / sizeof *fleets; i++) {
		double found = claims(fleets[i].a, fleets[i].b, 1, fleets[i].spread);

		/* 5 % are meant, and 2 000 seeds may have 1.5 % more. */
		if (found > .065)
			fail_msg("%zu and %zu pods: a difference in %.1f %% of the fleets",
				 fleets[i].a, fleets[i].b, 100 * found);
		/* Nor is it because nothing is ever said. */
		if (fleets[i].a > 6 && found < .02)
			fail_msg("%zu and %zu pods: in %.1f %% only", fleets[i].a, fleets[i].b,
				 100 * found);
	}
}

static void a_gain_is_found(void **state)
{
	(void)state;
	assert_true(claims(8, 8, .5, .2) > .98);
	assert_true(claims(20, 20, .8, .2) > .9);
	assert_true(claims(4, 4, .2, .2) > .95);
}

static void few_pods_say_nothing(void **state)
{
	const double low[] = { 1, 1.1, 1.2, 1.3 }, high[] = { 100, 110, 120, 130 };
	struct rank_interval r;

	(void)state;
	assert_false(rank_compare(&r, low, 3, high, 4));
	assert_false(rank_compare(&r, low, 4, high, 3));
	assert_true(rank_compare(&r, low, 4, high, 4));
	/* The least and the largest ratio there is: one of 70 orders at each end. */
	assert_float_equal(r.low, 100 / 1.3, 1e-9);
	assert_float_equal(r.high, 130, 1e-9);
	assert_true(r.ratio > 90 && r.ratio < 110);
}

/* From tables of the test: of 8 and 8, U up to 13 has a chance of at most 2.5 %. */
static void exact_for_small_numbers(void **state)
{
	double a[8], b[8], all[64];
	struct rank_interval r;
	size_t i, j, n = 0, below = 0;

	(void)state;
	seed[0] = 3;
	make_fleet(a, 8, 1, 1);
	make_fleet(b, 8, 1, 1);
	assert_true(rank_compare(&r, a, 8, b, 8));
	for (i = 0; i < 8; i++)
		for (j = 0; j < 8; j++)
			all[n++] = b[j] / a[i];
	for (i = 0; i < n; i++)
		below += all[i] < r.low;
	assert_int_equal(below, 13);
	assert_float_equal(r.ratio, rank_median(all, n), 1e-12);
}

static void zeros(void **state)
{
	const double none[] = { 0, 0, 0, 0, 0 }, some[] = { 1, 2, 3, 4, 5 };
	struct rank_interval r;

	(void)state;
	assert_true(rank_compare(&r, some, 5, none, 5));
	assert_true(r.ratio == 0 && r.low == 0 && r.high == 0);
	assert_true(rank_compare(&r, none, 5, none, 5));
	assert_true(r.ratio == 1 && r.low == 1 && r.high == 1);
	assert_true(rank_compare(&r, none, 5, some, 5));
	assert_true(isinf(r.low) && isinf(r.high));
	assert_true(rank_median(some, 5) == 3 && rank_median(some, 4) == 2.5);
	assert_true(rank_median(some, 0) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_fleets_have_no_gain),
		cmocka_unit_test(a_gain_is_found),
		cmocka_unit_test(few_pods_say_nothing),
		cmocka_unit_test(exact_for_small_numbers),
		cmocka_unit_test(zeros),
	};

	return cmocka_run_group_tests_name("rank", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "ring/histogram.h"

/* OpenTelemetry's formula: bucket j begins at 2^((j + first) / 2^scale) seconds. */
static void bounds_are_the_formula(void **state)
{
	const long double root = 1.090507732665257659207L; /* 2^(1/8) */
	long double exact = 1e9L / (1 << 20), ours;
	int j;

	(void)state;
	for (j = 0; j <= GCPRELOAD_BUCKETS; j++, exact *= root) {
		ours = (long double)gcpreload_histogram_bound(j);
		/* Whole nanoseconds, rounded down; the table of roots has 32 bits. */
		assert_true(ours <= exact * (1 + 1.2e-10L));
		assert_true(ours > exact * (1 - 1.2e-10L) - 1);
	}
	assert_int_equal(gcpreload_histogram_bound(160), 1000000000);
	assert_int_equal(gcpreload_histogram_bound(0), 953);
	assert_int_equal(gcpreload_histogram_bound(192), 16000000000);
}

static void bounds_grow(void **state)
{
	int j;

	(void)state;
	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		assert_true(gcpreload_histogram_bound(j) < gcpreload_histogram_bound(j + 1));
}

/* A bound belongs to the bucket below it; one more, to the bucket above. */
static void every_edge(void **state)
{
	int j;

	(void)state;
	for (j = 0; j <= GCPRELOAD_BUCKETS; j++) {
		uint64_t bound = gcpreload_histogram_bound(j);

		assert_int_equal(gcpreload_histogram_bucket(bound), j - 1);
		assert_int_equal(gcpreload_histogram_bucket(bound + 1), j);
		if (bound - 1 > gcpreload_histogram_bound(0) && j > 0)
			assert_int_equal(gcpreload_histogram_bucket(bound - 1), j - 1);
	}
}

static void beyond_both_ends(void **state)
{
	(void)state;
	assert_int_equal(gcpreload_histogram_bucket(0), GCPRELOAD_BUCKET_BELOW);
	assert_int_equal(gcpreload_histogram_bucket(1), GCPRELOAD_BUCKET_BELOW);
	assert_int_equal(gcpreload_histogram_bucket(UINT64_MAX), GCPRELOAD_BUCKET_ABOVE);
	assert_int_equal(gcpreload_histogram_bucket(16000000001), GCPRELOAD_BUCKET_ABOVE);
}

static void add(struct gcpreload_series *series, uint64_t ns)
{
	int j = gcpreload_histogram_bucket(ns);

	if (j == GCPRELOAD_BUCKET_BELOW)
		series->below++;
	else if (j == GCPRELOAD_BUCKET_ABOVE)
		series->above++;
	else
		series->buckets[j]++;
	series->collections++;
	series->sum_ns += ns;
	if (ns > series->max_ns)
		series->max_ns = ns;
}

static void quantiles_are_upper_bounds(void **state)
{
	struct gcpreload_series series = { 0 };
	uint64_t ns, p50, p99;

	(void)state;
	for (ns = 1; ns <= 1000; ns++)
		add(&series, ns * 1000000);
	p50 = gcpreload_histogram_quantile(&series, .5);
	p99 = gcpreload_histogram_quantile(&series, .99);
	assert_true(p50 >= 500000000 && p50 <= 500000000 * 1.0906);
	assert_true(p99 >= 990000000 && p99 <= 1000000000);
	assert_int_equal(gcpreload_histogram_quantile(&series, 1), 1000000000);
}

static void quantiles_at_the_ends(void **state)
{
	struct gcpreload_series series = { 0 };

	(void)state;
	assert_int_equal(gcpreload_histogram_quantile(&series, .5), 0);
	add(&series, 10);
	assert_int_equal(gcpreload_histogram_quantile(&series, 0), 10);
	assert_int_equal(gcpreload_histogram_quantile(&series, .99), 10);
	add(&series, 20000000000);
	assert_int_equal(gcpreload_histogram_quantile(&series, .5), gcpreload_histogram_bound(0));
	assert_int_equal(gcpreload_histogram_quantile(&series, .99), 20000000000);
}

static void merging_is_adding(void **state)
{
	struct gcpreload_series a = { 0 }, b = { 0 }, both = { 0 };
	uint64_t ns;

	(void)state;
	for (ns = 1; ns < 30000000000; ns = ns * 3 + 7) {
		add(&a, ns);
		add(&both, ns);
		add(&b, ns / 2);
		add(&both, ns / 2);
	}
	a.collected = 3;
	b.collected = 4;
	b.uncollectable = 5;
	gcpreload_series_merge(&a, &b);
	both.collected = 7;
	both.uncollectable = 5;
	assert_memory_equal(&a, &both, sizeof a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_are_the_formula),
		cmocka_unit_test(bounds_grow),
		cmocka_unit_test(every_edge),
		cmocka_unit_test(beyond_both_ends),
		cmocka_unit_test(quantiles_are_upper_bounds),
		cmocka_unit_test(quantiles_at_the_ends),
		cmocka_unit_test(merging_is_adding),
	};

	return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Which wait is home, with a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "preload/home.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define BEGUN  (100 * SECOND)

static const struct home_key for_jobs = { HOME_POLL, 1 };
static const struct home_key in_a_job = { HOME_POLL, 2 };
static const struct home_key asleep = { HOME_SELECT, 1 };

static uint64_t now;

static void begin(struct home *home)
{
	now = BEGUN;
	home_begin(home, now);
}

/* So many times: work that nobody sees, and a wait. */
static void wait_so(struct home *home, const struct home_key *key, int times, uint64_t works,
		    uint64_t waits)
{
	while (times-- > 0) {
		now += works;
		home_waited(home, key, now, now + waits);
		now += waits;
	}
}

/* One job: it waits for others three times. */
static void work(struct home *home, int jobs, uint64_t at_home, uint64_t each)
{
	while (jobs-- > 0) {
		wait_so(home, &for_jobs, 1, 0, at_home);
		wait_so(home, &in_a_job, 3, MS, each);
	}
}

static void where_most_of_the_time_goes(void **state)
{
	struct home home;

	(void)state;
	begin(&home);
	wait_so(&home, &for_jobs, 49, 40 * MS, 60 * MS);
	assert_false(home_is(&home, &for_jobs)); /* too short a time */
	wait_so(&home, &for_jobs, 1, 40 * MS, 60 * MS);
	assert_true(home_is(&home, &for_jobs));
	assert_false(home_is(&home, &in_a_job));
	assert_false(home_is(&home, &asleep)); /* the same Python calls, another of libc's */
}

static void not_most_of_it(void **state)
{
	struct home home;

	(void)state;
	begin(&home);
	wait_so(&home, &for_jobs, 10000, 51 * MS, 49 * MS);
	assert_false(home_is(&home, &for_jobs));
}

static void few_long_waits(void **state)
{
	struct home home;

	(void)state;
	begin(&home);
	wait_so(&home, &for_jobs, 3, MS, 10 * SECOND);
	assert_false(home_is(&home, &for_jobs));
	wait_so(&home, &for_jobs, 1, MS, 10 * SECOND);
	assert_true(home_is(&home, &for_jobs));
}

/* Within a job a worker may wait for another socket for most of a short while. */
static void a_job_that_waits(void **state)
{
	struct home home;

	(void)state;
	begin(&home);
	work(&home, 60, 500 * MS, 10 * MS);
	assert_true(home_is(&home, &for_jobs));
	wait_so(&home, &in_a_job, 2000, MS, 19 * MS); /* forty seconds */
	assert_true(home_is(&home, &for_jobs));
	work(&home, 60, 500 * MS, 10 * MS);
	assert_true(home_is(&home, &for_jobs));
}

static void busy_hours(void **state)
{
	struct home home;
	int i;

	(void)state;
	begin(&home);
	work(&home, 60, 900 * MS, 10 * MS);
	for (i = 0; i < 10; i++) {
		work(&home, 400, 10 * MS, 30 * MS); /* nine parts of ten are jobs */
		assert_true(home_is(&home, &for_jobs));
		work(&home, 4, 900 * MS, 10 * MS);
	}
}

/* Begun in a busy hour, it takes a job's wait for home, until it is at home. */
static void begun_in_a_busy_hour(void **state)
{
	struct home home;

	(void)state;
	begin(&home);
	work(&home, 400, 10 * MS, 30 * MS);
	assert_true(home_is(&home, &in_a_job));
	work(&home, 120, SECOND, 30 * MS);
	assert_true(home_is(&home, &for_jobs));
	assert_false(home_is(&home, &in_a_job));
}

static void another_way_of_life(void **state)
{
	struct home home;

	(void)state;
	begin(&home);
	wait_so(&home, &for_jobs, 10, MS, 5 * SECOND);
	wait_so(&home, &asleep, 270, MS, SECOND);
	assert_true(home_is(&home, &for_jobs)); /* a long job, so far */
	wait_so(&home, &asleep, 40, MS, SECOND);
	assert_true(home_is(&home, &asleep));
}

static void a_night(void **state)
{
	struct home home;

	(void)state;
	begin(&home);
	wait_so(&home, &for_jobs, 10, MS, SECOND);
	wait_so(&home, &for_jobs, 1, MS, 600 * MINUTE);
	assert_true(home_is(&home, &for_jobs));
	/* It counts no more than what is remembered of it. */
	wait_so(&home, &asleep, 400, MS, SECOND);
	assert_true(home_is(&home, &asleep));
}

/* Each place is one of a few: home's is not lost, whatever else waits. */
static void many_others(void **state)
{
	struct home_key other = in_a_job;
	struct home home;
	int i;

	(void)state;
	begin(&home);
	wait_so(&home, &for_jobs, 10, MS, SECOND);
	for (i = 0; i < 1000; i++) {
		other.path++;
		wait_so(&home, &other, 1, MS, 100 * MS);
	}
	assert_true(home_is(&home, &for_jobs));
	wait_so(&home, &for_jobs, 10, MS, SECOND);
	assert_true(home_is(&home, &for_jobs));
}

/* A clock that steps back is no wait of centuries. */
static void the_clock_steps_back(void **state)
{
	struct home home;

	(void)state;
	begin(&home);
	home_waited(&home, &for_jobs, now, now - SECOND);
	home_waited(&home, &for_jobs, now - 2 * SECOND, now - 3 * SECOND);
	wait_so(&home, &for_jobs, 10, 60 * SECOND, MS);
	assert_false(home_is(&home, &for_jobs));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_most_of_the_time_goes),
		cmocka_unit_test(not_most_of_it),
		cmocka_unit_test(few_long_waits),
		cmocka_unit_test(a_job_that_waits),
		cmocka_unit_test(busy_hours),
		cmocka_unit_test(begun_in_a_busy_hour),
		cmocka_unit_test(another_way_of_life),
		cmocka_unit_test(a_night),
		cmocka_unit_test(many_others),
		cmocka_unit_test(the_clock_steps_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The exporter's sums, while processes come and go and sweepers remove their rings. */
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli/export/gather.h"
#include "ring/retired.h"
#include "ring/sweep.h"
#include "test_rings.h"

static char place[64], other[64];
static const struct gcpreload_sweep_limits all = { 0 };

static int setup(void **state)
{
	(void)state;
	place_make(place);
	place_make(other);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_remove(place);
	place_remove(other);
	return 0;
}

static struct gather gather_of(const char *one, const char *two)
{
	struct gather gather = { .n_choices = two ? 2 : 1 };

	gather.choices = calloc(2, sizeof *gather.choices);
	assert_non_null(gather.choices);
	gather.choices[0].dir = one;
	gather.choices[1].dir = two;
	return gather;
}

/* All collections that it knows of, after a look. */
static uint64_t total(struct gather *gather)
{
	static gather_series sum;
	uint64_t n = 0;
	size_t i;
	int j;

	gather_look(gather);
	memset(sum, 0, sizeof sum);
	for (i = 0; i < gather->n_services; i++)
		for (j = 0; j < GCPRELOAD_SERIES; j++)
			n += (&gather->services[i]->gone[0][0][0])[j].collections;
	for (i = 0; i < gather->n_processes; i++)
		gather_add(sum, &gather->processes[i]);
	for (j = 0; j < GCPRELOAD_SERIES; j++)
		n += (&sum[0][0][0])[j].collections;
	return n;
}

/* Of one that has never looked before. */
static uint64_t total_anew(const char *one, const char *two)
{
	struct gather gather = gather_of(one, two);
	uint64_t n = total(&gather);

	gather_free(&gather);
	return n;
}

static void three_collections(const char *unused)
{
	(void)unused;
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 1);
	record(1, GCPRELOAD_CAUSE_AUTOMATIC, 1000000, 1);
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000000000, 1);
}

static void dies(const char *where)
{
	struct writer writer = writer_begin(three_collections, where);

	writer_end(&writer);
}

static int sweep(const char *where, const struct gcpreload_sweep_limits *limits)
{
	int dir = open(place_rings(where), O_RDONLY | O_DIRECTORY);
	int n = dir < 0 ? 0 : gcpreload_sweep(dir, limits, NULL, NULL);

	close(dir);
	return n;
}

static void swept_rings_still_count(void **state)
{
	struct gather gather = gather_of(place, NULL);
	struct writer writer = writer_begin(three_collections, place);

	(void)state;
	assert_int_equal(total(&gather), 3);
	dies(place);
	assert_int_equal(total(&gather), 6);
	assert_int_equal(sweep(place, &all), 1);
	assert_int_equal(total(&gather), 6);
	assert_int_equal(total_anew(place, NULL), 6);
	writer_end(&writer);
	assert_int_equal(sweep(place, &all), 1);
	dies(place); /* never seen by us as a ring */
	assert_int_equal(sweep(place, &all), 1);
	assert_int_equal(total(&gather), 9);
	assert_int_equal(total_anew(place, NULL), 9);
	assert_int_equal(gather.n_processes, 0);
	gather_free(&gather);
}

static void other_removals_are_remembered(void **state)
{
	const struct gcpreload_sweep_limits totals = { .totals = true };
	struct gather gather = gather_of(place, NULL);
	char name[256], path[512];

	(void)state;
	dies(place);
	assert_int_equal(sweep(place, &all), 1);
	dies(place);
	assert_int_equal(total(&gather), 6);
	assert_int_equal(sweep(place, &totals), 2);
	assert_int_equal(total(&gather), 6);
	assert_int_equal(total(&gather), 6);
	assert_int_equal(total_anew(place, NULL), 0);
	dies(place);
	assert_int_equal(total(&gather), 9);
	place_count(place, name);
	snprintf(path, sizeof path, "%s/%s", place_rings(place), name);
	assert_int_equal(unlink(path), 0); /* as rm does */
	assert_int_equal(total(&gather), 9);
	dies(place);
	assert_int_equal(sweep(place, &all), 1);
	assert_int_equal(total(&gather), 12);
	gather_free(&gather);
}

/* Two containers: what has the same name there is not the same. One directory by two paths is. */
static void directories_are_told_apart(void **state)
{
	struct gather gather;
	char command[512], path[128];

	(void)state;
	dies(place);
	snprintf(command, sizeof command, "cp -a %s/. %s/", place, other);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof path, "%s/../%s/.", place, place + strlen("/dev/shm/"));
	assert_int_equal(total_anew(place, other), 6);
	assert_int_equal(total_anew(place, path), 3);
	gather = gather_of(place, other);
	assert_int_equal(total(&gather), 6);
	assert_int_equal(sweep(other, &all), 1);
	assert_int_equal(total(&gather), 6);
	gather_free(&gather);
}

static void a_directory_that_goes_and_comes(void **state)
{
	struct rings_said said = { 0 };
	struct gather gather = gather_of(place, NULL);
	struct writer writer = writer_begin(three_collections, place);
	char elsewhere[80];

	(void)state;
	gather.choices[0].said = &said;
	dies(place);
	assert_int_equal(sweep(place, &all), 1);
	assert_int_equal(total(&gather), 6);
	snprintf(elsewhere, sizeof elsewhere, "%s/away", other);
	assert_int_equal(rename(place, elsewhere), 0);
	assert_int_equal(total(&gather), 6);
	assert_int_equal(total(&gather), 6);
	assert_int_equal(said.n, 1);
	assert_int_equal(gather.processes[0].reader.fd, -1);
	assert_false(gather.processes[0].alive);
	assert_int_equal(rename(elsewhere, place), 0);
	assert_int_equal(total(&gather), 6);
	assert_true(gather.processes[0].alive);
	writer_end(&writer);
	assert_int_equal(total(&gather), 6);
	gather_free(&gather);
	rings_said_free(&said);
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* A new file gets its name before its counters: these come without any sign in its header. */
static void counters_that_come_late(void **state)
{
	const size_t at = GCPRELOAD_SERIES_OFFSET, n = GCPRELOAD_SLOTS_OFFSET - at;
	struct gather gather = gather_of(place, NULL);
	static char series[GCPRELOAD_SLOTS_OFFSET], none[sizeof series];
	char name[256], path[512];
	int fd;

	(void)state;
	dies(place);
	assert_int_equal(place_count(place, name), 1);
	snprintf(path, sizeof path, "%s/%s", place_rings(place), name);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0); /* it lives again */
	assert_int_equal(pread(fd, series, n, (off_t)at), n);
	assert_int_equal(pwrite(fd, none, n, (off_t)at), n);
	assert_int_equal(total(&gather), 0);
	assert_int_equal(pwrite(fd, series, n, (off_t)at), n);
	assert_int_equal(total(&gather), 3);
	close(fd);
	gather_free(&gather);
}

#define MANY 30 /* more are swept when a process makes its ring */

static void descriptors_are_bounded(void **state)
{
	struct gather gather = gather_of(place, NULL);
	int i, before = open_files();
	struct rlimit limit, small;

	(void)state;
	for (i = 0; i < MANY; i++)
		dies(place);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = MANY;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	assert_int_equal(total(&gather), 3 * MANY);
	assert_int_equal(total(&gather), 3 * MANY);
	assert_int_equal(gather.n_open, MANY / 2);
	assert_int_equal(open_files(), before + MANY / 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(sweep(place, &all), MANY);
	assert_int_equal(total(&gather), 3 * MANY);
	assert_int_equal(gather.n_open, 0);
	assert_int_equal(open_files(), before);
	gather_free(&gather);
}

#define ROUNDS 150

static void come_and_go(void)
{
	const char *why = "";
	int i, status;
	pid_t pid;

	gcpreload_self_init();
	for (i = 0; i < ROUNDS; i++) {
		pid = fork();
		if (pid == 0) {
			three_collections(place);
			CHECK(publish(place, &why) == 0);
			record(2, GCPRELOAD_CAUSE_AUTOMATIC, 5000, 1);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
}

/* Nothing is missed and nothing counted twice, by an exporter that goes on and by one that begins
 * anew each time, whatever a sweeper does between two of their steps. */
static void never_back_and_never_twice(void **state)
{
	struct gather gather = gather_of(place, NULL);
	uint64_t last = 0, n;
	pid_t lives, sweeps;
	int status;

	(void)state;
	lives = fork();
	if (lives == 0) {
		come_and_go();
		_exit(0);
	}
	sweeps = fork();
	if (sweeps == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			sweep(place, &all);
	}
	while (waitpid(lives, &status, WNOHANG) == 0) {
		n = total(&gather);
		assert_true(n >= last && n <= 4 * ROUNDS);
		last = n;
		n = total_anew(place, NULL);
		assert_true(n >= last && n <= 4 * ROUNDS);
		last = n;
	}
	assert_int_equal(status, 0);
	assert_int_equal(total(&gather), 4 * ROUNDS);
	kill(sweeps, SIGKILL); /* wherever it is */
	waitpid(sweeps, NULL, 0);
	assert_int_equal(total(&gather), 4 * ROUNDS);
	assert_int_equal(total_anew(place, NULL), 4 * ROUNDS);
	while (sweep(place, &all) > 0)
		;
	assert_int_equal(total(&gather), 4 * ROUNDS);
	assert_int_equal(total_anew(place, NULL), 4 * ROUNDS);
	gather_free(&gather);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(swept_rings_still_count),	  TEST(other_removals_are_remembered),
		TEST(directories_are_told_apart), TEST(a_directory_that_goes_and_comes),
		TEST(counters_that_come_late),	  TEST(descriptors_are_bounded),
		TEST(never_back_and_never_twice),
	};

	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}

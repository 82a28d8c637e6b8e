/* SPDX-License-Identifier: MIT */
/* Processor time and connections of each period, and what may be claimed with them. Time is the
 * test's own. */
#include "base/clock.h"
#include "ring/load.h"
#include "test_cli_run.h"

#define SECOND	1000000000ull
#define MINUTE	(60 * SECOND)
#define STARTUP GCPRELOAD_PERIOD_STARTUP
#define BASE	GCPRELOAD_PERIOD_BASELINE
#define TUNED	GCPRELOAD_PERIOD_TUNED

/* ---- the clocks of a writer ---- */

static uint64_t time_now, cpu_now;

static int test_clock(clockid_t id, struct timespec *ts)
{
	uint64_t ns = id == CLOCK_PROCESS_CPUTIME_ID ? cpu_now : time_now;

	if (id != CLOCK_PROCESS_CPUTIME_ID && id != CLOCK_MONOTONIC)
		return clock_gettime(id, ts);
	ts->tv_sec = (time_t)(ns / SECOND);
	ts->tv_nsec = (long)(ns % SECOND);
	return 0;
}

/* Its life ends about now, so that a reader finds it plausible. */
static void begin_life(uint64_t length)
{
	time_now = gcpreload_now_ns() - length;
	cpu_now = 0;
	gcpreload_clock = test_clock;
}

/* So long, at a load: CPU in thousandths, connections and collections of 10 ms a second. */
struct stretch {
	uint32_t period;
	unsigned seconds, cpu, connections, collections;
};

/* Of the next process. */
static struct stretch life[3];
static uint32_t life_sample;
static unsigned life_idle; /* collections a second while waiting, once it is tuned */

static void live(const struct stretch *stretch)
{
	struct gcpreload_status status =
	    status_of(stretch->period == TUNED ? GCPRELOAD_STATE_READY : GCPRELOAD_STATE_OBSERVING,
		      stretch->period);
	unsigned s, i;

	snprintf(status.service_name, sizeof status.service_name, "shop");
	gcpreload_ring_status(&status);
	for (s = 0; s < stretch->seconds; s++) {
		time_now += SECOND;
		cpu_now += stretch->cpu * (SECOND / 1000);
		gcpreload_self->accepted += stretch->connections;
		for (i = 0; i < stretch->collections; i++)
			record(0, GCPRELOAD_CAUSE_AUTOMATIC, 10000000, 1000);
		for (i = 0; i < life_idle && stretch->period == TUNED; i++)
			record(1, GCPRELOAD_CAUSE_IDLE, 10000000, 1000);
		gcpreload_ring_load(time_now, false);
	}
	gcpreload_ring_status(&status);
}

static void live_life(const char *unused)
{
	struct gcpreload_status status;
	uint64_t all = 0;
	int i;

	(void)unused;
	for (i = 0; i < 3; i++)
		all += life[i].seconds * SECOND;
	begin_life(all);
	for (i = 0; i < 3; i++)
		if (life[i].seconds)
			live(&life[i]);
	if (life_sample) {
		status =
		    status_of(life[2].seconds ? GCPRELOAD_STATE_READY : GCPRELOAD_STATE_OBSERVING,
			      life[2].seconds ? TUNED : BASE);
		snprintf(status.service_name, sizeof status.service_name, "shop");
		status.sample = life_sample;
		gcpreload_ring_status(&status);
	}
	gcpreload_clock = clock_gettime;
}

/* A dead process, whose measurements are what was written. */
static void lived(struct stretch startup, struct stretch base, struct stretch tuned,
		  uint32_t sample)
{
	struct writer writer;

	life[0] = startup;
	life[1] = base;
	life[2] = tuned;
	life[1].period = BASE;
	life[2].period = TUNED;
	life_sample = sample;
	writer = writer_begin(live_life, place);
	writer_end(&writer);
}

#define NONE	 ((struct stretch){ 0 })
#define START	 ((struct stretch){ STARTUP, 3, 500, 0, 2 })
#define RUN(...) ((struct stretch){ 0, __VA_ARGS__ })

/* ---- the writer ---- */

static void account_by_period(void **state)
{
	struct gcpreload_header h = { .period = STARTUP };
	struct gcpreload_series series[GCPRELOAD_SERIES] = { 0 };

	(void)state;
	ring_load_account(&h, series, &(struct ring_load_now){ 5, 100, 2 });
	h.period = TUNED;
	ring_load_account(&h, series, &(struct ring_load_now){ 6, 140, 9 });
	h.period = BASE;
	ring_load_account(&h, series, &(struct ring_load_now){ 7, 141, 9 });
	h.period = TUNED;
	/* A clock that stepped back takes nothing away. */
	ring_load_account(&h, series, &(struct ring_load_now){ 8, 90, 3 });
	ring_load_account(&h, series, &(struct ring_load_now){ 9, 151, 10 });
	assert_int_equal(h.load.cpu_ns[STARTUP], 100);
	assert_int_equal(h.load.cpu_ns[BASE], 1);
	assert_int_equal(h.load.cpu_ns[TUNED], 50);
	assert_int_equal(h.load.accepted[STARTUP], 2);
	assert_int_equal(h.load.accepted[BASE], 0);
	assert_int_equal(h.load.accepted[TUNED], 8);
	assert_int_equal(h.load.as_of_ns, 9);
}

static void first_minutes_are_noted(void **state)
{
	struct gcpreload_header h = { .period = TUNED, .period_since_ns = MINUTE };
	struct gcpreload_series series[GCPRELOAD_SERIES] = { 0 };
	struct gcpreload_series *tuned = &series[TUNED * GCPRELOAD_GENERATIONS * GCPRELOAD_CAUSES];
	const struct gcpreload_warm *warm = &h.load.warm[1];

	(void)state;
	tuned[GCPRELOAD_CAUSE_AUTOMATIC].collections = 7;
	tuned[GCPRELOAD_CAUSE_AUTOMATIC].sum_ns = 700;
	tuned[GCPRELOAD_CAUSE_IDLE].collections = 1000;
	tuned[GCPRELOAD_CAUSE_READY].sum_ns = 1000;
	tuned[GCPRELOAD_CAUSES + GCPRELOAD_CAUSE_GUARD].collections = 1;
	ring_load_account(&h, series, &(struct ring_load_now){ 2 * MINUTE, 10, 1 });
	assert_int_equal(warm->spent_ms, 0);
	ring_load_account(&h, series, &(struct ring_load_now){ 3 * MINUTE + SECOND, 20, 2 });
	assert_int_equal(warm->spent_ms, 121000);
	assert_int_equal(warm->collections, 8);
	assert_int_equal(warm->in_request_ns, 700);
	assert_int_equal(warm->cpu_ns, 20);
	assert_int_equal(warm->accepted, 2);
	/* Once. */
	ring_load_account(&h, series, &(struct ring_load_now){ 4 * MINUTE, 30, 3 });
	assert_int_equal(warm->spent_ms, 121000);
	assert_int_equal(h.load.warm[0].spent_ms, 0);
}

/* The clock of a process's CPU is a system call. */
static void looked_at_once_a_second(const char *there)
{
	struct gcpreload_reader reader;
	const char *why = "";
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, TUNED);

	begin_life(MINUTE);
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 0);
	cpu_now = SECOND;
	gcpreload_self->accepted = 5;
	gcpreload_ring_load(time_now, false);
	cpu_now = 2 * SECOND;
	gcpreload_ring_load(time_now += SECOND - 1, false);
	CHECK(publish(there, &why) == 0);
	open_only_ring(there, &reader);
	CHECK(reader.header.load.cpu_ns[STARTUP] == SECOND);
	CHECK(reader.header.load.accepted[STARTUP] == 5);
	/* The end of a period is looked at in any case. */
	gcpreload_self->accepted = 6;
	gcpreload_ring_status(&status);
	gcpreload_self->accepted = 16;
	gcpreload_ring_load(time_now, true);
	CHECK(gcpreload_reader_refresh(&reader, &why) == 0);
	CHECK(reader.header.load.cpu_ns[STARTUP] == 2 * SECOND);
	CHECK(reader.header.load.accepted[STARTUP] == 6);
	CHECK(reader.header.load.accepted[TUNED] == 10);
	gcpreload_reader_close(&reader);
}

static void child_counts_its_own(const char *there)
{
	struct gcpreload_reader reader;
	const char *why = "";
	int status;
	pid_t pid;

	gcpreload_self->accepted = 5;
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 0);
	gcpreload_ring_load(gcpreload_now_ns(), true);
	pid = fork();
	if (pid == 0) {
		gcpreload_self->accepted += 2;
		record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 0);
		gcpreload_ring_load(gcpreload_now_ns(), true);
		CHECK(publish(there, &why) == 0);
		open_only_ring(there, &reader);
		CHECK(reader.header.load.accepted[STARTUP] == 2);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

#define IN_CHILD(name)                                                                             \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		assert_int_equal(in_child(name, place), 0);                                        \
	}

IN_CHILD(looked_at_once_a_second)
IN_CHILD(child_counts_its_own)

/* ---- report ---- */

static void report_says(const char *expected)
{
	assert_int_equal(run(&command_report, ""), 0);
	says(output, expected);
}

/* 100 collections a second of 10 ms would be all of the time: 3 are 3 %. */
static void equal_loads_are_compared(void **state)
{
	(void)state;
	lived(START, RUN(100, 400, 20, 3), RUN(100, 380, 21, 1), 0);
	report_says("Share of time in collections in requests: 3.00 % with the stock collector, "
		    "1.00 % tuned.\nLongest pause: 10.0 ms with the stock collector, 10.0 ms "
		    "tuned.\n");
	says_not(output, "minutes of each process");
	says(output, "processor time");
	says(output, "2000"); /* connections */
	says(output, "collections per CPU second");
	says(output, "7.5");
	says(output, "collections per connection");
	says(output, "time in collections per million objects collected");
	assert_int_equal(run(&command_report, "--json"), 0);
	is_json(output);
	says(output, "\"not_compared\": null");
	says(output, "\"cpu_seconds\": 40");
	says(output, "\"connections\": 2000");
	says(output, "\"per_cpu_second\": {\n            \"collections\": 7.5");
}

/* Mode idle: the sentence and the table say the same of the same. */
static void waiting_is_told_apart(void **state)
{
	(void)state;
	life_idle = 2;
	lived(START, RUN(100, 400, 20, 3), RUN(100, 380, 21, 0), 0);
	life_idle = 0;
	report_says("Share of time in collections in requests: 3.00 % with the stock collector, 0 "
		    "% tuned.\nWhile waiting: 0 % with the stock collector, 2.00 % tuned.\n");
	says(output, "in requests: share of time ");
	says(output, "while waiting: share of time ");
	says(output, "while waiting: longest ");
	says_not(output, "out of requests");
}

static void without_load_nothing_is_claimed(void **state)
{
	(void)state;
	lived(START, RUN(600, 400, 150, 3), RUN(600, 10, 0, 0), 0);
	report_says("Stock and tuned are not compared: load differs: 150 connections a second "
		    "with the stock collector, 0 tuned.");
	says_not(output, "Share of time in collections in requests:");
	says_not(output, "Longest pause:");
	assert_int_equal(run(&command_report, "--json"), 0);
	says(output, "\"not_compared\": \"load differs: 150 connections");
}

static void loads_that_differ(void **state)
{
	(void)state;
	/* Connections are kept open here, so the processor tells. */
	lived(START, RUN(600, 400, 0, 3), RUN(600, 150, 0, 1), 0);
	report_says("not compared: load differs: 0.4 of a processor with the stock collector, 0.15 "
		    "tuned.");
	assert_int_equal(run(&command_clean, "--totals"), 0);
	lived(START, RUN(600, 400, 0, 3), RUN(600, 0, 0, 0), 0);
	report_says("not compared: no load tuned: 0 of processor time in 8 min 0 s.");
	assert_int_equal(run(&command_clean, "--totals"), 0);
	lived(START, RUN(600, 400, 0, 0), RUN(600, 400, 0, 0), 0);
	report_says("not compared: fewer than 10 collections in requests on both sides.");
}

static void short_periods(void **state)
{
	(void)state;
	lived(START, RUN(600, 400, 20, 3), RUN(59, 380, 21, 1), 0);
	report_says("not compared: only 59.0 s tuned, and less than 60 s is too short.");
}

static void first_minutes_are_left_out(void **state)
{
	(void)state;
	life[0] = START;
	/* Two minutes at 5 %, then 1 %; the rest of it is at 1 %, too. */
	lived(RUN(120, 400, 20, 5), RUN(180, 400, 20, 1), RUN(400, 400, 20, 2), 0);
	report_says("Share of time in collections in requests: 1.00 % with the stock collector, "
		    "2.00 % tuned.\n");
	says(output, "Longest pause: 10.0 ms in 3 min 0 s with the stock collector, 10.0 ms in 6 "
		     "min 40 s tuned.");
	says(output, "The shares leave out the first 2 minutes of each process.");
	assert_int_equal(run(&command_report, "--json"), 0);
	says(output, "\"steady\": {\n            \"seconds\": 60");
}

static void load_of_an_older_library(void **state)
{
	char name[256], path[512];
	const uint64_t zeros[sizeof(struct gcpreload_load) / 8] = { 0 };
	int fd;

	(void)state;
	lived(START, RUN(100, 400, 20, 3), RUN(100, 380, 21, 1), 0);
	assert_int_equal(place_count(place, name), 1);
	snprintf(path, sizeof path, "%s/%s", place_rings(place), name);
	chmod(path, 0600);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, zeros, sizeof zeros, offsetof(struct gcpreload_header, load)),
			 sizeof zeros);
	close(fd);
	report_says("not compared: the load with the stock collector is not known");
	says(output, "unknown");
	assert_int_equal(run(&command_report, "--json"), 0);
	says(output, "\"cpu_seconds\": null");
	says(output, "\"connections\": null");
}

/* An earlier baseline was at another load, or another day. */
static void untuned_of_the_same_time(void **state)
{
	(void)state;
	lived(START, RUN(100, 400, 20, 30), RUN(100, 400, 20, 1), GCPRELOAD_SAMPLE_TUNED);
	lived(START, RUN(100, 400, 20, 3), NONE, GCPRELOAD_SAMPLE_UNTUNED);
	report_says("All 2 processes of the service shop");
	says(strstr(output, "All 2 processes"),
	     "Share of time in collections in requests: 3.00 % with the stock collector, 1.00 % "
	     "tuned.");
	says(output, "Stock: the untuned processes of the same time (GCPRELOAD_SAMPLE).");
}

/* ---- report --compare ---- */

static void save(const char *name)
{
	char path[128];
	FILE *file;

	assert_int_equal(run(&command_report, "--json"), 0);
	snprintf(path, sizeof path, "%s/%s", place, name);
	file = fopen(path, "w");
	fputs(output, file);
	fclose(file);
	assert_int_equal(run(&command_clean, "--totals"), 0);
}

static void compare(const char *options)
{
	char line[256];

	snprintf(line, sizeof line, "--compare %s %s/a %s/b", options, place, place);
	assert_int_equal(run(&command_report, line), 0);
}

static void compare_of_equal_loads(void **state)
{
	(void)state;
	lived(START, RUN(100, 400, 20, 3), NONE, 0);
	save("a");
	lived(START, RUN(200, 400, 20, 3), NONE, 0);
	save("b");
	compare("");
	says(output, "1.00x");
	says(output, "served for different times: their longest are not compared");
	says_not(output, "are not compared: ");
	compare("--json");
	says(output, "\"in_request_seconds_per_cpu_second\": {\n    \"a\": 0.075,\n    \"b\": "
		     "0.075,\n    \"ratio\": 1\n");
	says(output, "\"in_request_max_seconds\": {\n    \"a\": 0.01,\n    \"b\": 0.01,\n    "
		     "\"ratio\": null\n");
}

/* Two identical servers, at 150 and at 10 requests a second. */
static void compare_of_other_loads(void **state)
{
	(void)state;
	lived(START, RUN(600, 450, 150, 15), NONE, 0);
	save("a");
	lived(START, RUN(600, 30, 10, 1), NONE, 0);
	save("b");
	compare("");
	says(output, "A and B are not compared: load differs: 150 connections a second in A, 10 in "
		     "B.");
	says_not(output, "0.06x");
	says_not(output, "0.07x");
	/* What each did is there all the same. */
	says(output, "in requests per CPU second");
	compare("--json");
	says(output, "\"not_compared\": \"load differs");
	says_not(output, "\"ratio\": 0");
	says_not(output, "\"ratio\": 1");
}

static void compare_of_other_services(void **state)
{
	char command[256];

	(void)state;
	lived(START, RUN(100, 400, 20, 3), NONE, 0);
	save("a");
	snprintf(command, sizeof command, "sed s/shop/pub/ %s/a > %s/b", place, place);
	assert_int_equal(system(command), 0);
	compare("");
	says(output, "A and B are not compared: the service pub is not in both.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(account_by_period),
		cmocka_unit_test(first_minutes_are_noted),
		TEST(test_looked_at_once_a_second),
		TEST(test_child_counts_its_own),
		TEST(equal_loads_are_compared),
		TEST(waiting_is_told_apart),
		TEST(without_load_nothing_is_claimed),
		TEST(loads_that_differ),
		TEST(short_periods),
		TEST(first_minutes_are_left_out),
		TEST(load_of_an_older_library),
		TEST(untuned_of_the_same_time),
		TEST(compare_of_equal_loads),
		TEST(compare_of_other_loads),
		TEST(compare_of_other_services),
	};

	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* ps, report and clean, run in this process on rings of real processes; usage of all. */
#include "test_cli_run.h"

#define EVIL "\x1b[31mred\xff\"\\"

/* Start-up, a baseline, and what came after it. */
static void whole_life(const char *unused)
{
	struct gcpreload_status status =
	    status_of(GCPRELOAD_STATE_BASELINE, GCPRELOAD_PERIOD_BASELINE);

	(void)unused;
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000000, 11);
	record(2, GCPRELOAD_CAUSE_EXPLICIT, 700000000, 0);
	usleep(1000);
	gcpreload_ring_status(&status);
	record(2, GCPRELOAD_CAUSE_AUTOMATIC, 90000000, 22);
	usleep(1000);
	status.state = GCPRELOAD_STATE_READY;
	status.period = GCPRELOAD_PERIOD_TUNED;
	snprintf(status.reason, sizeof status.reason, EVIL);
	snprintf(status.service_name, sizeof status.service_name, "shop");
	gcpreload_ring_status(&status);
	record(2, GCPRELOAD_CAUSE_READY, 50000000, 5);
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 3000000, 33);
}

static void tuned_only(const char *unused)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);

	(void)unused;
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000000, 11);
	gcpreload_ring_status(&status);
}

static void put_file(const char *name, const void *bytes, size_t n)
{
	char path[512];
	int fd;

	snprintf(path, sizeof path, "%s/%s", place_rings(place), name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static void ps_of_nothing(void **state)
{
	(void)state;
	assert_int_equal(run(&command_ps, "--json"), 0);
	assert_string_equal(output, "[]\n");
	assert_int_equal(run(&command_ps, ""), 0);
	says(output, "PID  COMMAND");
	says(errors, "no measurements");
	assert_int_equal(run(&command_ps, "--dir /nosuchdirectory"), 0);
	says(errors, "/nosuchdirectory: cannot be opened: No such file or directory; ");
}

static void ps_of_the_living_and_the_dead(void **state)
{
	struct writer writer = writer_begin(whole_life, place);
	char expected[64];

	(void)state;
	assert_int_equal(run(&command_ps, "--json"), 0);
	is_json(output);
	snprintf(expected, sizeof expected, "\"pid\": %d,", (int)writer.pid);
	says(output, expected);
	says(output, "\"alive\": true");
	says(output, "\"state\": \"ready\"");
	says(output, "\"mode\": \"freeze\"");
	says(output, "\"python\": \"3.11.2\"");
	says(output, "\"reason\": \"\\u001b[31mred\\ufffd\\\"\\\\\"");
	says(output, "\"name\": \"shop\"");
	says(output, "\"trigger\": \"auto\"");
	says(output, "\"fired\": \"auto: accept\"");
	says(output, "\"frozen_objects\": 1234");
	says(output, "\"startup_max_seconds\": 0.7,");
	says(output, "\"thresholds\": [\n      50000,\n      10,\n      10\n    ]");
	says(output, "\"events_lost\": 0");
	says(output, "\"generation\": 0,\n        \"cause\": \"automatic\",\n        "
		     "\"collections\": 2,\n        \"collected\": 44,\n        \"uncollectable\": "
		     "0,\n        \"seconds\": 0.004,\n        \"max_seconds\": 0.003\n");
	assert_int_equal(run(&command_ps, ""), 0);
	says(output, "\\x1b[31mred\\xff\"\\");
	says(output, "2/0/3");
	says(output, "90.0 ms");
	says_not(output, "700 ms"); /* of the start-up */
	says(output, "1234");
	assert_null(strchr(output, 0x1b));
	kill(writer.pid, SIGKILL);
	writer_end(&writer);
	assert_int_equal(run(&command_ps, "--json"), 0);
	assert_string_equal(output, "[]\n");
	assert_int_equal(run(&command_ps, ""), 0);
	says(errors, "no running process");
	assert_int_equal(run(&command_ps, "--all --json"), 0);
	is_json(output);
	says(output, "\"alive\": false");
	says(output, "\"state\": \"exited\"");
}

static void ps_of_noise(void **state)
{
	struct writer writer = writer_begin(tuned_only, place);

	(void)state;
	put_file("77.1.deadbeef", "\xff\x1b noise", 8);
	put_file("bad\x1b\xff", "", 0);
	put_file("1.1.deadbeef.ctl", "x", 1);
	put_file(".1.1.deadbeef.new", "x", 1);
	put_file("88.1.deadbeef", "GCPRING2 of a later version", 28);
	assert_int_equal(run(&command_ps, "--json"), 0);
	is_json(output);
	says(output, "\"state\": \"unreadable\"");
	says(output, "\"reason\": \"not a ring\"");
	says(output, "\"pid\": null");
	says(output, "bad\\u001b\\ufffd");
	says(output, "\"state\": \"ready\"");
	says_not(output, ".ctl");
	assert_int_equal(run(&command_ps, ""), 0);
	says(output, "unreadable");
	says(output, "bad\\x1b\\xff");
	assert_int_equal(run(&command_report, ""), 0);
	says(output, "cannot be read: not a ring");
	writer_end(&writer);
}

static void report_compares(void **state)
{
	struct writer writer = writer_begin(whole_life, place);
	char line[64];

	(void)state;
	snprintf(line, sizeof line, "%d", (int)writer.pid);
	assert_int_equal(run(&command_report, line), 0);
	says(output, "start-up");
	says(output, "stock GC");
	says(output, "tuned");
	says(output, "Stock and tuned are not compared: only ");
	says(output, " with the stock collector, and less than 60 s is too short.");
	says(output, "once: longest");
	says_not(output, "no baseline");
	writer_end(&writer); /* a dead one's file says the same */
	assert_int_equal(run(&command_report, line), 0);
	says(output, "exited");
	says(output, "Stock and tuned are not compared: only ");
	assert_int_equal(run(&command_report, "--json"), 0);
	is_json(output);
	says(output, "\"period\": \"baseline\"");
	says(output, "\"max_seconds\": 0.09");
	assert_int_equal(run(&command_report, "--json 999999"), 1);
	is_json(output);
	says(errors, "999999: no measurements");
}

static void report_without_a_baseline(void **state)
{
	struct writer one = writer_begin(tuned_only, place), two = writer_begin(tuned_only, place);

	(void)state;
	assert_int_equal(run(&command_report, ""), 0);
	says(output, "no baseline");
	says(output, "All 2 processes of the service ");
	says(output, " (named by its ");
	assert_int_equal(run(&command_report, "--json"), 0);
	is_json(output);
	says(output, "\"processes\": 2");
	writer_end(&one);
	writer_end(&two);
}

static void put_number(uint64_t offset, uint64_t number)
{
	char name[256], path[512];
	int fd;

	assert_int_equal(place_count(place, name), 1);
	snprintf(path, sizeof path, "%s/%s", place_rings(place), name);
	chmod(path, 0600);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, &number, sizeof number, (off_t)offset), sizeof number);
	close(fd);
}

/* Differences of two clock reads the wrong way round, in files of earlier versions. */
static void times_that_cannot_be(void **state)
{
	struct writer writer = writer_begin(tuned_only, place);
	const struct command *const commands[] = { &command_report, &command_ps, &command_report };
	const char *const lines[] = { "", "--json", "--json" };
	int i;

	(void)state;
	put_number(offsetof(struct gcpreload_header, period_spent_ns), (uint64_t)-5000);
	put_number(offsetof(struct gcpreload_header, idle.delayed_ns), (uint64_t)-5000);
	put_number(GCPRELOAD_SERIES_OFFSET + offsetof(struct gcpreload_series, max_ns),
		   (uint64_t)-5000);
	put_number(GCPRELOAD_SLOTS_OFFSET + offsetof(struct gcpreload_slot, duration_ns),
		   (uint64_t)-5000);
	for (i = 0; i < 6; i++) {
		assert_int_equal(run(commands[i % 3], lines[i % 3]), 0);
		says_not(output, "213503 d");
		says_not(output, "1844674407");
		if (i == 2) {
			/* The histogram still has the collection of a millisecond. */
			says(output, "\"max_seconds\": 0.00");
			put_number(GCPRELOAD_SERIES_OFFSET +
				       offsetof(struct gcpreload_series, sum_ns),
				   (uint64_t)-5000);
		}
	}
	writer_end(&writer);
}

static void clean_removes_the_dead(void **state)
{
	struct writer living = writer_begin(tuned_only, place);
	struct writer dead = writer_begin(tuned_only, place);
	char expected[64];

	(void)state;
	writer_end(&dead);
	put_file("important.txt", "x", 1);
	snprintf(expected, sizeof expected, "/%d.", (int)dead.pid);
	assert_int_equal(run(&command_clean, "--dry-run"), 0);
	says(output, "would remove ");
	says(output, expected);
	assert_int_equal(place_count(place, NULL), 3);
	assert_int_equal(run(&command_clean, "-n --json"), 0);
	is_json(output);
	says(output, "\"removed\": false");
	assert_int_equal(run(&command_clean, ""), 0);
	says(output, "removed ");
	says(output, expected);
	/* The living one, what is not ours, and the sums of the dead one. */
	assert_int_equal(place_count(place, NULL), 3);
	assert_int_equal(run(&command_clean, ""), 0);
	says(output, "nothing to remove");
	writer_end(&living);
	assert_int_equal(run(&command_clean, "--json"), 0);
	is_json(output);
	says(output, "\"removed\": true");
	assert_int_equal(place_count(place, NULL), 2);
	assert_int_equal(run(&command_clean, "--totals"), 0);
	says(output, "/retired.");
	assert_int_equal(place_count(place, NULL), 1);
}

/* Directories are named by a user's id, too. */
static void places(void **state)
{
	struct writer writer = writer_begin(tuned_only, place);
	char line[256];

	(void)state;
	unsetenv("GCPRELOAD_DIR");
	snprintf(line, sizeof line, "--json --dir %s", place);
	assert_int_equal(run(&command_ps, line), 0);
	says(output, "\"state\": \"ready\"");
	snprintf(line, sizeof line, "--json --dir %s", place_rings(place));
	assert_int_equal(run(&command_ps, line), 0);
	says(output, "\"state\": \"ready\"");
	snprintf(line, sizeof line, "--json --dir %s --user %u", place, (unsigned)geteuid());
	assert_int_equal(run(&command_ps, line), 0);
	says(output, "\"state\": \"ready\"");
	snprintf(line, sizeof line, "--json --dir %s --user 12345", place);
	assert_int_equal(run(&command_ps, line), 0);
	assert_string_equal(output, "[]\n");
	snprintf(line, sizeof line, "--json --dir %s --all-users", place);
	assert_int_equal(run(&command_ps, line), 0);
	says(output, "\"state\": \"ready\"");
	writer_end(&writer);
}

/* Of users whose processes are not shown. */
static void others_are_named(void **state)
{
	static const struct command *const commands[] = { &command_ps, &command_report };
	const char *said = "not shown: gcpreload-4242 (1 process); add --user UID or --all-users";
	struct writer writer = writer_begin(tuned_only, place);
	char other[128];
	int i;

	(void)state;
	snprintf(other, sizeof other, "%s/gcpreload-4242", place);
	assert_int_equal(rename(place_rings(place), other), 0);
	for (i = 0; i < 2; i++) {
		assert_int_equal(run(commands[i], "--json"), 0);
		says(errors, said);
		assert_int_equal(run(commands[i], "--all-users"), 0);
		says_not(errors, "not shown");
		assert_int_equal(run(commands[i], "--user 4242"), 0);
		says_not(errors, "not shown");
	}
	assert_int_equal(run(&command_thaw, "--all"), 1);
	says(errors, said);
	assert_int_equal(run(&command_watch, "--for 0.01"), 0);
	says(errors, said);
	writer_end(&writer);
	assert_int_equal(run(&command_ps, ""), 0);
	says_not(errors, "not shown");
}

static void others_directory_is_not_written(void **state)
{
	struct writer writer = writer_begin(tuned_only, place);
	char line[256], name[256];

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(place_rings(place), 65534, (gid_t)-1), 0);
	assert_int_equal(run(&command_ps, "--json"), 0);
	says(output, "\"state\": \"ready\"");
	says(errors, "owned by user 65534");
	snprintf(line, sizeof line, "%d mode=off", (int)writer.pid);
	assert_int_equal(run(&command_set, line), 1);
	assert_int_equal(place_count(place, name), 1);
	writer_end(&writer);
	assert_int_equal(run(&command_clean, ""), 0);
	assert_int_equal(place_count(place, name), 1);
}

static void usage(void **state)
{
	static const struct command *const all[] = {
		&command_run,  &command_ps,    &command_report, &command_watch, &command_set,
		&command_thaw, &command_ready, &command_doctor, &command_clean, &command_path
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof all / sizeof all[0]; i++) {
		assert_int_equal(run(all[i], "--help"), 0);
		says(output, "usage: gcpreload ");
		says(output, all[i]->summary);
		assert_int_equal(run(all[i], "-h"), 0);
		assert_int_equal(run(all[i], "--nosuch"), 2);
		says(errors, "--nosuch: unknown option");
		assert_int_equal(run(all[i], "-Z"), 2);
		says(errors, "-Z: unknown option");
	}
	assert_int_equal(run(&command_ps, "--jsn"), 2);
	says(errors, "did you mean --json?");
	assert_int_equal(run(&command_ps, "--json=1"), 2);
	says(errors, "takes no argument");
	assert_int_equal(run(&command_ps, "--dir"), 2);
	says(errors, "requires an argument");
	assert_int_equal(run(&command_ps, "--user root"), 2);
	assert_int_equal(run(&command_ps, "operand"), 2);
	assert_int_equal(run(&command_report, "x"), 2);
	assert_int_equal(run(&command_watch, "1 2"), 2);
	assert_int_equal(run(&command_watch, "--for never"), 2);
	assert_int_equal(run(&command_set, "1"), 2);
	assert_int_equal(run(&command_set, "mode=off"), 2);
	assert_int_equal(run(&command_set, "1 mode=fast"), 2);
	assert_int_equal(run(&command_set, "--all 1 mode=off"), 2);
	assert_int_equal(run(&command_thaw, ""), 2);
	assert_int_equal(run(&command_run, ""), 2);
	assert_int_equal(run(&command_run, "-m fast true"), 2);
	says(errors, "--mode: fast is not off, observe, freeze, idle or concurrent");
	assert_int_equal(run(&command_run, "--thresholds 1,2 true"), 2);
	assert_int_equal(run(&command_doctor, ""), 2);
	assert_int_equal(run(&command_doctor, "--pid 1 true"), 2);
}

/* What ps, report, watch and clean make of damaged files, under the sanitizers. */
static void mutated_rings(void **state)
{
	struct writer writer = writer_begin(whole_life, place);
	char name[256], path[512];
	uint8_t *good = malloc(GCPRELOAD_FILE_SIZE);
	int fd, i, j;

	(void)state;
	writer_end(&writer);
	assert_int_equal(place_count(place, name), 1);
	snprintf(path, sizeof path, "%s/%s", place_rings(place), name);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, good, GCPRELOAD_FILE_SIZE), (ssize_t)GCPRELOAD_FILE_SIZE);
	close(fd);
	chmod(path, 0600);
	fd = open(path, O_RDWR);
	srandom(7);
	for (i = 0; i < 150; i++) {
		for (j = 0; j < 8; j++) {
			uint64_t word = random() % 3 ? (uint64_t)random() << 34 : UINT64_MAX;
			/* Not the magic and the sizes: those tests are the reader's. */
			off_t offset =
			    random() % 2 ? 72 + random() % 1360 : 4096 + random() % (250000 - 4096);

			assert_int_equal(pwrite(fd, &word, 1 + (size_t)random() % 8, offset) > 0,
					 1);
		}
		assert_int_equal(run(&command_ps, "--all --json"), 0);
		is_json(output);
		assert_int_equal(run(&command_report, "--json"), 0);
		is_json(output);
		assert_int_equal(run(&command_ps, "--all"), 0);
		assert_int_equal(run(&command_report, ""), 0);
		assert_int_equal(run(&command_clean, "-n"), 0);
		if (random() % 4 == 0)
			assert_int_equal(pwrite(fd, good, GCPRELOAD_FILE_SIZE, 0),
					 (ssize_t)GCPRELOAD_FILE_SIZE);
	}
	close(fd);
	free(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ps_of_nothing),
		TEST(ps_of_the_living_and_the_dead),
		TEST(ps_of_noise),
		TEST(report_compares),
		TEST(report_without_a_baseline),
		TEST(times_that_cannot_be),
		TEST(clean_removes_the_dead),
		TEST(places),
		TEST(others_are_named),
		TEST(others_directory_is_not_written),
		TEST(usage),
		TEST(mutated_rings),
	};

	return cmocka_run_group_tests_name("cli commands", tests, NULL, NULL);
}

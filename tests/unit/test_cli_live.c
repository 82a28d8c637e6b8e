/* SPDX-License-Identifier: MIT */
/* watch, set, thaw and ready, on processes that go on. */
#include "test_cli_run.h"

/* Becomes what it is told to be, or not. */
static void change(struct gcpreload_status *status, const char *verb)
{
	unsigned mode;

	snprintf(status->reason, sizeof status->reason, "told %s", verb);
	if (status->state == GCPRELOAD_STATE_STANDING_BACK)
		return;
	for (mode = 0; mode < GCPRELOAD_MODES; mode++)
		if (strncmp(verb, "mode=", 5) == 0 &&
		    strcmp(verb + 5, gcpreload_mode_name(mode)) == 0)
			status->mode = mode;
	if (strcmp(verb, "mode=off") == 0)
		status->state = GCPRELOAD_STATE_OFF;
	else if (strcmp(verb, "mode=observe") == 0 || strcmp(verb, "thaw") == 0)
		status->state = GCPRELOAD_STATE_OBSERVING;
	else
		status->state = GCPRELOAD_STATE_READY;
	status->frozen_objects = status->state == GCPRELOAD_STATE_READY ? 1234 : 0;
}

/* Takes commands as the library does. */
static void obey(const char *there, struct gcpreload_status *status)
{
	char name[512], verb[32] = "", service[GCPRELOAD_CONTROL_NAME];
	unsigned long long serial = 0;
	struct dirent *entry;
	FILE *file;
	DIR *dir = opendir(place_rings(there));

	gcpreload_control_name(service, status->service_name);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !strstr(entry->d_name, ".ctl"))
			continue;
		if (atoi(entry->d_name) != getpid() && strcmp(entry->d_name, service) != 0)
			continue;
		snprintf(name, sizeof name, "%s/%s", place_rings(there), entry->d_name);
		file = fopen(name, "r");
		CHECK(file &&
		      fscanf(file, GCPRELOAD_CONTROL_MAGIC "%llu %31s\n", &serial, verb) == 2);
		fclose(file);
		if (serial <= status->control_serial)
			continue;
		status->control_serial = serial;
		change(status, verb);
		gcpreload_ring_status(status);
	}
	if (dir)
		closedir(dir);
}

/* Publishes, and goes on recording, and obeying where asked, until its pipe is closed. */
static struct writer begin_in(uint32_t in, bool obeys, const char *service)
{
	struct gcpreload_status status = status_of(in, GCPRELOAD_PERIOD_TUNED);
	struct writer writer;
	const char *why = "";
	char byte;
	int stop[2], ready[2];

	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	writer.pid = fork();
	if (writer.pid == 0) {
		close(stop[1]);
		fcntl(stop[0], F_SETFL, O_NONBLOCK);
		gcpreload_self_init();
		snprintf(status.service_name, sizeof status.service_name, "%s", service);
		gcpreload_ring_status(&status);
		CHECK(publish(place, &why) == 0);
		CHECK(write(ready[1], "", 1) == 1);
		while (read(stop[0], &byte, 1) != 0) {
			record(1, GCPRELOAD_CAUSE_AUTOMATIC, 12000, 3);
			if (obeys)
				obey(place, &status);
			usleep(5000);
		}
		_exit(0);
	}
	close(stop[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	writer.stop = stop[1];
	return writer;
}

static struct writer begin_busy(bool obeys, const char *service)
{
	return begin_in(GCPRELOAD_STATE_READY, obeys, service);
}

/* It takes every command, and does nothing. */
static void telling_what_stands_back(void **state)
{
	const char *const verbs[] = { "mode=off", "mode=observe", "mode=freeze", "mode=idle",
				      "mode=concurrent" };
	struct writer stubborn = begin_in(GCPRELOAD_STATE_STANDING_BACK, true, "");
	char line[64];
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		snprintf(line, sizeof line, "%d %s", (int)stubborn.pid, verbs[i]);
		assert_int_equal(run(&command_set, line), 1);
		says(output, "standing-back");
		says(errors, "nothing changed, 1234 objects are still frozen");
	}
	snprintf(line, sizeof line, "%d", (int)stubborn.pid);
	assert_int_equal(run(&command_thaw, line), 1);
	says(errors, "nothing changed, 1234 objects are still frozen");
	assert_int_equal(run(&command_ready, line), 1);
	says(errors, "nothing changed");
	writer_end(&stubborn);
}

static void telling(void **state)
{
	struct writer good = begin_busy(true, "shop"), deaf = begin_busy(false, "till");
	char line[128], expected[128], name[256];

	(void)state;
	snprintf(line, sizeof line, "%d mode=off", (int)good.pid);
	snprintf(expected, sizeof expected, "%d: mode=off: mode off, off: told mode=off\n",
		 (int)good.pid);
	assert_int_equal(run(&command_set, line), 0);
	assert_string_equal(output, expected);
	assert_int_equal(run(&command_set, "--service shop mode=freeze"), 0);
	says(output, "told mode=freeze");
	assert_int_equal(run(&command_thaw, "--service shop"), 0);
	says(output, "told thaw");
	snprintf(line, sizeof line, "%d", (int)good.pid);
	assert_int_equal(run(&command_ready, line), 0);
	says(output, "told ready");
	assert_int_equal(run(&command_thaw, "--all --timeout 1"), 1);
	says(output, "told thaw");
	snprintf(expected, sizeof expected, "%d: no answer yet", (int)deaf.pid);
	says(errors, expected);
	assert_int_equal(run(&command_thaw, "--service nosuch"), 1);
	says(errors, "nosuch: no running process of this service");
	assert_int_equal(run(&command_thaw, "999999"), 1);
	says(errors, "999999: no such process");
	/* Two rings, two control files and that of a service, nothing half made. */
	assert_int_equal(place_count(place, NULL), 5);
	writer_end(&good);
	writer_end(&deaf);
	assert_int_equal(run(&command_clean, "--totals"), 0);
	assert_int_equal(place_count(place, name), 1); /* in force, until it is taken back */
	assert_string_equal(name, "service.shop.ctl");
}

static void control_file_is_private(void **state)
{
	struct writer deaf = begin_busy(false, "");
	char line[64], path[512];
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int found = 0;

	(void)state;
	snprintf(line, sizeof line, "%d --timeout 0", (int)deaf.pid);
	assert_int_equal(run(&command_thaw, line), 1);
	dir = opendir(place_rings(place));
	while ((entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".ctl"))
			continue;
		snprintf(path, sizeof path, "%s/%s", place_rings(place), entry->d_name);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_true(st.st_size <= GCPRELOAD_CONTROL_SIZE);
		found++;
	}
	closedir(dir);
	assert_int_equal(found, 1);
	writer_end(&deaf);
}

static void watching(void **state)
{
	struct writer busy = begin_busy(false, "");
	char expected[64], *line, *rest;
	int n = 0;

	(void)state;
	assert_int_equal(run(&command_watch, "--for 0.5"), 0);
	snprintf(expected, sizeof expected,
		 "  %d  generation 1  automatic   12.0 us  collected 3\n", (int)busy.pid);
	says(output, expected);
	assert_int_equal(run(&command_watch, "--json --for 0.5"), 0);
	for (line = strtok_r(output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		is_json(line);
		says(line, "\"collected\": 3");
		n++;
	}
	assert_true(n > 5);
	assert_int_equal(run(&command_watch, "--for 0.2 999999"), 0);
	assert_string_equal(output, "");
	says(errors, "waiting for them");
	writer_end(&busy);
}

static void watching_counts_what_it_lost(void **state)
{
	const char *why = "";
	pid_t pid = fork();
	int i;

	(void)state;
	if (pid == 0) {
		gcpreload_self_init();
		CHECK(publish(place, &why) == 0);
		for (;;) { /* faster than anybody who looks ten times a second */
			for (i = 0; i < 5000; i++)
				record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 1);
			usleep(20000);
		}
	}
	while (place_count(place, NULL) == 0)
		usleep(1000);
	assert_int_equal(run(&command_watch, "--for 0.7"), 0);
	says(output, " events lost\n");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(telling),	TEST(telling_what_stands_back),	    TEST(control_file_is_private),
		TEST(watching), TEST(watching_counts_what_it_lost),
	};

	return cmocka_run_group_tests_name("cli live", tests, NULL, NULL);
}

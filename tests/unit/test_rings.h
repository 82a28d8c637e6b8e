/* SPDX-License-Identifier: MIT */
/* Rings for tests: places on tmpfs, and processes that write. */
#ifndef GCPRELOAD_TESTS_UNIT_TEST_RINGS_H
#define GCPRELOAD_TESTS_UNIT_TEST_RINGS_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/self.h"
#include "ring/reader.h"
#include "ring/writer.h"

/* For use in child processes, where cmocka's own would go on with the next test. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);    \
			_exit(99);                                                                 \
		}                                                                                  \
	} while (0)

/* A new directory on tmpfs. */
static inline void place_make(char *path)
{
	strcpy(path, "/dev/shm/gcpreload-test-XXXXXX");
	assert_non_null(mkdtemp(path));
}

/* dir/gcpreload-<uid>, where the rings are. */
static inline const char *place_rings(const char *path)
{
	static char rings[128];

	snprintf(rings, sizeof rings, "%s/gcpreload-%u", path, (unsigned)geteuid());
	return rings;
}

static inline void place_remove(const char *path)
{
	char command[256];

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static inline int is_hidden(const char *name)
{
	return name[0] == '.';
}

/* Number of files in the directory of rings, hidden ones too; the last name in name. */
static inline int place_count(const char *path, char *name)
{
	DIR *dir = opendir(place_rings(path));
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			n++;
			if (name)
				strcpy(name, entry->d_name);
		}
	if (dir)
		closedir(dir);
	return n;
}

/* Runs body in a process of its own; returns its exit status, or 128 + signal. */
static inline int in_child(void (*body)(const char *place), const char *place)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		gcpreload_self_init();
		body(place);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void record(unsigned generation, unsigned cause, uint64_t ns, uint64_t collected)
{
	struct gcpreload_event event = { .start_ns = gcpreload_now_ns(),
					 .duration_ns = ns,
					 .collected = collected,
					 .generation = (uint8_t)generation,
					 .cause = (uint8_t)cause };

	gcpreload_ring_record(&event);
}

static inline struct gcpreload_status status_of(uint32_t state, uint32_t period)
{
	struct gcpreload_status status = { .state = state,
					   .mode = GCPRELOAD_MODE_FREEZE,
					   .period = period,
					   .thresholds = { 50000, 10, 10 },
					   .thresholds_before = { 700, 10, 10 },
					   .frozen_objects = 1234,
					   .python = "3.11.2",
					   .reason = "a reason",
					   .trigger = "auto",
					   .fired = "auto: accept" };
	return status;
}

static inline int publish(const char *place, const char **why)
{
	const struct gcpreload_place there = { place, -1 };

	return gcpreload_ring_publish(&there, why);
}

/* A living process with a ring; it ends by itself when we do. */
struct writer {
	pid_t pid;
	int stop;
};

static inline struct writer writer_begin(void (*body)(const char *place), const char *place)
{
	struct writer writer;
	int stop[2], ready[2];
	const char *why = "";
	char byte;

	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	writer.pid = fork();
	if (writer.pid == 0) {
		close(stop[1]);
		gcpreload_self_init();
		body(place);
		CHECK(publish(place, &why) == 0);
		CHECK(write(ready[1], "", 1) == 1);
		CHECK(read(stop[0], &byte, 1) == 0);
		_exit(0);
	}
	close(stop[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	writer.stop = stop[1];
	return writer;
}

static inline void writer_end(struct writer *writer)
{
	close(writer->stop);
	/* A writer that began later holds our end of its pipe, too. */
	kill(writer->pid, SIGKILL);
	waitpid(writer->pid, NULL, 0);
}

/* Opens the only ring of a place. */
static inline void open_only_ring(const char *place, struct gcpreload_reader *reader)
{
	char name[256], path[512];
	const char *why = "";

	CHECK(place_count(place, name) == 1);
	snprintf(path, sizeof path, "%s/%s", place_rings(place), name);
	CHECK(gcpreload_reader_open(reader, AT_FDCWD, path, &why) == 0);
}

#endif

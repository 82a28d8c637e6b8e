/* SPDX-License-Identifier: MIT */
/* The marks of mode concurrent in a ring, and in the totals of removed ones. */
#include <fcntl.h>

#include "ring/retired.h"
#include "ring/sweep.h"
#include "test_marks.h"

/* Numbers from to up to to, in order, each whole. */
static void are_marks(struct gcpreload_reader *reader, uint64_t from, uint64_t to)
{
	struct gcpreload_mark marks[KEPT];
	int i, n = gcpreload_reader_marks(reader, marks);

	CHECK(n == (int)(to - from));
	for (i = 0; i < n; i++) {
		CHECK(marks[i].seq == from + (uint64_t)i + 1);
		CHECK(marks[i].garbage == 1000 + from + (uint64_t)i);
		CHECK(marks[i].fork_ns == 8 * MS && marks[i].resident_after == 1 << 19);
	}
}

static void kept_and_read(const char *there)
{
	struct gcpreload_status status = marked_status(3);
	struct gcpreload_mark mark = mark_of(2, GCPRELOAD_MARK_HOW_RUNNING), marks[KEPT];
	struct gcpreload_reader reader;
	const char *why = "";

	/* Before there is a file, too. */
	write_marks(0, 3);
	gcpreload_ring_status(&status);
	CHECK(publish(there, &why) == 0);
	open_only_ring(there, &reader);
	CHECK(reader.header.minor == GCPRELOAD_RING_MINOR);
	CHECK(memcmp(&reader.header.marks, &status.marks, sizeof status.marks) == 0);
	are_marks(&reader, 0, 3);
	/* The same number again is the same mark, as it is now. */
	gcpreload_ring_mark(&mark, 2);
	CHECK(gcpreload_reader_marks(&reader, marks) == 3);
	CHECK(marks[2].how == GCPRELOAD_MARK_HOW_RUNNING && !gcpreload_mark_is_over(&marks[2]));
	CHECK(marks[1].how == GCPRELOAD_MARK_HOW_DONE && gcpreload_mark_is_over(&marks[1]));
	/* The last of them, wherever the oldest is. */
	write_marks(2, KEPT);
	are_marks(&reader, 0, KEPT);
	write_marks(KEPT, KEPT + 1);
	are_marks(&reader, 1, KEPT + 1);
	write_marks(KEPT + 1, 5 * KEPT + 7);
	are_marks(&reader, 4 * KEPT + 7, 5 * KEPT + 7);
	/* They have left header and series alone. */
	CHECK(gcpreload_reader_refresh(&reader, &why) == 0);
	CHECK(reader.header.marks.begun == 3 && reader.header.idle.guard_trips == 0);
	gcpreload_reader_close(&reader);
}

static void many_before_the_file(const char *there)
{
	struct gcpreload_reader reader;
	const char *why = "";

	write_marks(0, 100);
	CHECK(publish(there, &why) == 0);
	open_only_ring(there, &reader);
	are_marks(&reader, 100 - KEPT, 100);
	gcpreload_reader_close(&reader);
}

/* A child has marks of its own, whether the parent had a file when it forked or not. */
static void a_child_begins_without(const char *there)
{
	struct gcpreload_reader reader;
	struct gcpreload_mark marks[KEPT];
	const char *why = "";
	char other[96];
	int i, early, result;
	pid_t pid;

	for (i = 0; i < 4; i++) {
		early = i % 2; /* one before the child has a file, or none */
		write_marks(0, 5);
		snprintf(other, sizeof other, "%s/child%d", there, i);
		CHECK(mkdir(other, 0700) == 0);
		pid = fork();
		if (pid == 0) {
			write_marks(0, early);
			CHECK(publish(other, &why) == 0);
			open_only_ring(other, &reader);
			CHECK(gcpreload_reader_marks(&reader, marks) == early);
			write_marks(0, 2);
			are_marks(&reader, 0, 2);
			_exit(0);
		}
		CHECK(waitpid(pid, &result, 0) == pid && result == 0);
		CHECK(i < 1 || publish(there, &why) == 0);
	}
	open_only_ring(there, &reader);
	are_marks(&reader, 0, 5);
	gcpreload_reader_close(&reader);
}

/* What was there before a mark is not taken for one. */
static void not_marks(const char *there)
{
	struct gcpreload_reader reader;
	struct gcpreload_mark marks[KEPT], bad = mark_of(3, 99);
	const char *why = "";
	char name[256], path[512];
	uint16_t minor = 1;
	int fd;

	write_marks(0, 4);
	CHECK(publish(there, &why) == 0);
	place_count(there, name);
	snprintf(path, sizeof path, "%s/%s", place_rings(there), name);
	open_only_ring(there, &reader);
	chmod(path, 0600);
	fd = open(path, O_RDWR);
	/* A place that another number belongs to, an impossible time, words that we do not know. */
	bad.seq = 7;
	CHECK(pwrite(fd, &bad, sizeof bad, GCPRELOAD_MARKS_OFFSET + sizeof bad) == sizeof bad);
	bad.seq = 4;
	bad.mark_ns = (uint64_t)-5;
	CHECK(pwrite(fd, &bad, sizeof bad, GCPRELOAD_MARKS_OFFSET + 3 * sizeof bad) == sizeof bad);
	CHECK(gcpreload_reader_marks(&reader, marks) == 3);
	CHECK(marks[1].seq == 3 && marks[2].seq == 4 && marks[2].mark_ns == 0);
	CHECK(strcmp(gcpreload_mark_how_name(marks[2].how), "unknown") == 0);
	CHECK(pwrite(fd, &minor, sizeof minor, offsetof(struct gcpreload_header, minor)) ==
	      sizeof minor);
	CHECK(gcpreload_reader_refresh(&reader, &why) == 0);
	CHECK(gcpreload_reader_marks(&reader, marks) == 0);
	gcpreload_reader_close(&reader);
	close(fd);
}

/* One that is written over as fast as can be is whole each time, or left out. */
static void whole_or_not_at_all(const char *there)
{
	struct gcpreload_mark mark = { 0 }, marks[KEPT];
	struct gcpreload_reader reader;
	const char *why = "";
	unsigned i, n = 0;
	pid_t reading;
	int status;

	gcpreload_ring_mark(&mark, 5);
	CHECK(publish(there, &why) == 0);
	reading = fork();
	if (reading == 0) {
		open_only_ring(there, &reader);
		for (i = 0; i < 60000; i++) {
			if (gcpreload_reader_marks(&reader, marks) != 1)
				continue;
			n++;
			CHECK(marks[0].start_ns == marks[0].live);
			CHECK(marks[0].start_ns == marks[0].resident_after);
		}
		CHECK(n > 0);
		_exit(0);
	}
	while (waitpid(reading, &status, WNOHANG) == 0)
		for (i = 0; i < 10000; i++) {
			mark.start_ns++;
			mark.live = mark.resident_after = mark.start_ns;
			gcpreload_ring_mark(&mark, 5);
		}
	CHECK(status == 0);
}

static void in_processes(void **state)
{
	static void (*const bodies[])(const char *) = { kept_and_read, many_before_the_file,
							a_child_begins_without, not_marks,
							whole_or_not_at_all };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		assert_int_equal(in_child(bodies[i], place), 0);
		place_remove(place_rings(place));
	}
}

static void in_totals_of_removed_rings(void **state)
{
	static const struct gcpreload_sweep_limits all = { 0 };
	struct writer one = writer_begin(a_marked_life, place);
	struct writer two = writer_begin(a_marked_life, place);
	struct gcpreload_mark marks[KEPT];
	struct gcpreload_retired retired;
	struct gcpreload_reader reader;
	int dir = open(place_rings(place), O_RDONLY | O_DIRECTORY);
	unsigned i, found = 0;

	(void)state;
	writer_end(&two);
	writer_end(&one);
	assert_int_equal(gcpreload_sweep(dir, &all, NULL, NULL), 2);
	for (i = 0; i < GCPRELOAD_RETIRED_FILES; i++) {
		if (gcpreload_retired_open(&reader, &retired, dir, i) < 0)
			continue;
		found++;
		assert_int_equal(retired.folded, 2);
		assert_int_equal(reader.header.marks.begun, 12);
		assert_int_equal(reader.header.marks.faults, 20);
		/* What is now, and the longest, are not sums. */
		assert_int_equal(reader.header.marks.live, 0);
		assert_int_equal(reader.header.marks.longest_ns, 0);
		/* What stands in their place is not taken for them. */
		assert_int_equal(gcpreload_reader_marks(&reader, marks), 0);
		gcpreload_reader_close(&reader);
	}
	assert_int_equal(found, 1);
	close(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_processes),
		TEST(in_totals_of_removed_rings),
	};

	return cmocka_run_group_tests_name("marks", tests, NULL, NULL);
}

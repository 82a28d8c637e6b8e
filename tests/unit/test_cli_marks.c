/* SPDX-License-Identifier: MIT */
/* What people read of the marks of mode concurrent: report, watch, trace. */
#include <errno.h>
#include <poll.h>

#include "cli/follow.h"
#include "cli/marks.h"
#include "test_marks.h"

static void said_by_ps_and_report(void **state)
{
	struct writer writer = writer_begin(a_marked_life, place);

	(void)state;
	assert_int_equal(run(&command_ps, ""), 0);
	says(output, "concurrent");
	assert_int_equal(run(&command_ps, "--json"), 0);
	is_json(output);
	says(output, "\"marks\": {\n      \"begun\": 6,\n      \"finished\": 2,");
	says(output, "\"fork_seconds\": 0.02,");
	says(output, "\"live_objects\": 500000,");
	says(output, "\"pending_garbage\": 40,");
	says(output, "\"mark_fork_max_seconds\": 0.008,");
	says(output, "\"longest_step_seconds\": 0.9,");
	assert_int_equal(run(&command_report, "--json"), 0);
	is_json(output);
	says(output, "\"refused_memory\": 4,");
	assert_int_equal(run(&command_report, ""), 0);
	/* A step that is no collection counts, too. */
	says(output, "Longest pause: 900 ms.");
	says(output, "In requests, tuned: ");
	says(output, " of the time in collections, longest step 900 ms.\nMarks: 6 (1 failed, 3 "
		     "discarded), running for ");
	says(output,
	     " of the time.\nLongest fork for a mark: 8.00 ms; processor time of marks: "
	     "2.50 s.\nGarbage found by marks: 2000 objects; 1900 swept, 60 no longer valid, "
	     "40 pending.\n");
	writer_end(&writer);
}

static void without_marks(const char *unused)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);

	(void)unused;
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, MS, 1);
	gcpreload_ring_status(&status);
}

static void not_said_where_there_are_none(void **state)
{
	struct writer writer = writer_begin(without_marks, place);

	(void)state;
	assert_int_equal(run(&command_report, ""), 0);
	says_not(output, "Marks:");
	assert_int_equal(run(&command_ps, "--json"), 0);
	says(output, "\"begun\": 0,");
	writer_end(&writer);
}

static void said_of_several(void **state)
{
	struct writer one = writer_begin(a_marked_life, place);
	struct writer two = writer_begin(a_marked_life, place);

	(void)state;
	assert_int_equal(run(&command_report, ""), 0);
	says(output, "Marks: 12 (2 failed, 6 discarded), running for ");
	says(output, "mark: 8.00 ms; processor time of marks: 5.00 s.\n");
	says(output, "4000 objects; 3800 swept, 120 no longer valid, 80 pending.\n");
	writer_end(&two);
	writer_end(&one);
}

static void said_in_a_line(void **state)
{
	struct gcpreload_mark mark = mark_of(4, GCPRELOAD_MARK_HOW_DONE);
	char line[512], cut[8];

	(void)state;
	assert_string_equal(marks_line(line, sizeof line, &mark),
			    "mark  garbage  done  fork 8.00 ms  took 1.50 s  live 500000  garbage "
			    "1004  swept 990  skipped 10");
	assert_string_equal(marks_line(cut, sizeof cut, &mark), "mark  g");
}

/* Marks numbers to come until stop is closed: each goes on for a while. */
static void marks_on(int stop, uint64_t number)
{
	struct gcpreload_status status = marked_status(1);
	struct pollfd closed = { .fd = stop, .events = POLLIN };
	struct gcpreload_mark mark;

	for (;; number++) {
		mark = mark_of(number, GCPRELOAD_MARK_HOW_RUNNING);
		gcpreload_ring_mark(&mark, number);
		record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 1);
		status.marks.begun = number + 1;
		gcpreload_ring_status(&status);
		if (poll(&closed, 1, 20))
			_exit(0);
		mark.how = GCPRELOAD_MARK_HOW_DONE;
		gcpreload_ring_mark(&mark, number);
	}
}

/* A process that has made three marks, and goes on. */
static struct writer marking(void)
{
	int stop[2], ready[2];
	struct writer writer;
	const char *why = "";
	char byte;

	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	writer.pid = fork();
	if (writer.pid == 0) {
		close(stop[1]);
		gcpreload_self_init();
		write_marks(0, 3);
		CHECK(publish(place, &why) == 0);
		CHECK(write(ready[1], "", 1) == 1);
		marks_on(stop[0], 3);
	}
	close(stop[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	writer.stop = stop[1];
	return writer;
}

static void watched(void **state)
{
	struct writer writer = marking();
	char *line, *rest, *at;
	long before = 2, number;
	unsigned n = 0;

	(void)state;
	assert_int_equal(run(&command_watch, "--json --for 0.5"), 0);
	for (line = strtok_r(output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		is_json(line);
		at = strstr(line, "\"mark\": ");
		if (!at)
			continue;
		/* Each once, when it is over, and none of before. */
		says(line, "\"why\": \"garbage\", \"how\": \"done\"");
		says(line, "\"swept\": 990, \"skipped\": 10, \"page_faults\": 321");
		number = strtol(at + 8, NULL, 10);
		assert_true(number > before);
		before = number;
		n++;
	}
	assert_true(n > 0);
	assert_int_equal(run(&command_watch, "--for 0.5"), 0);
	says(output, "  mark  garbage  done  fork 8.00 ms  took 1.50 s  live 500000  garbage 1");
	writer_end(&writer);
}

static void traced(void **state)
{
	struct writer writer = marking();

	(void)state;
	assert_int_equal(run(&command_trace, "-o - --for 0.5"), 0);
	is_json(output);
	says(output, "\"name\": \"marks\"");
	says(output, "\"name\": \"mark: garbage\",\n    \"ph\": \"X\",");
	says(output, "\"dur\": 1500000,");
	says(output, "\"name\": \"fork\",\n    \"ph\": \"X\",");
	says(output, "\"dur\": 8000");
	writer_end(&writer);
}

struct last_mark {
	struct follow follow;
	int stop;
	bool over; /* the last one told was */
	uint64_t seq;
};

static void end_it(void *arg, const struct gcpreload_header *h, const struct gcpreload_slot *slot,
		   const struct gcpreload_hit *hit)
{
	struct last_mark *last = arg;

	(void)h;
	(void)hit;
	(void)slot;
	if (last->stop >= 0)
		close(last->stop);
	last->stop = -1;
}

static void none_lost(void *arg, const struct gcpreload_header *h, uint64_t n)
{
	(void)arg;
	(void)h;
	fail_msg("%d lost", (int)n);
}

static void keep_last(void *arg, const struct gcpreload_header *h,
		      const struct gcpreload_mark *mark)
{
	struct last_mark *last = arg;

	(void)h;
	assert_true(mark->seq > last->seq);
	last->seq = mark->seq;
	last->over = gcpreload_mark_is_over(mark);
	if (!last->over)
		last->follow.error = EINTR;
}

/* A mark in which the process has ended is told, too. */
static void ended_in_the_middle(void **state)
{
	struct writer writer = marking();
	struct last_mark last = {
		.follow = { .event = end_it, .lost = none_lost, .mark = keep_last, .seconds = 60 },
		.stop = writer.stop,
		.seq = 3,
	};

	(void)state;
	last.follow.arg = &last;
	follow_run(&last.follow);
	assert_int_equal(last.follow.error, EINTR);
	assert_false(last.over);
	assert_true(last.seq > 3);
	kill(writer.pid, SIGKILL);
	waitpid(writer.pid, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(said_by_ps_and_report),
		TEST(not_said_where_there_are_none),
		TEST(said_of_several),
		TEST(said_in_a_line),
		TEST(watched),
		TEST(traced),
		TEST(ended_in_the_middle),
	};

	return cmocka_run_group_tests_name("cli marks", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The writer and the reader together, each test in processes of its own. */
#include <errno.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "test_rings.h"

#define AUTOMATIC GCPRELOAD_CAUSE_AUTOMATIC
#define STARTUP	  GCPRELOAD_PERIOD_STARTUP

static char place[64];

static int setup(void **state)
{
	(void)state;
	place_make(place);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_remove(place);
	return 0;
}

static uint64_t count_of(struct gcpreload_reader *reader, unsigned period, unsigned generation,
			 unsigned cause)
{
	struct gcpreload_series series;

	CHECK(gcpreload_reader_series(reader, period, generation, cause, &series) == 0);
	return series.collections;
}

static void no_file_before_publish(const char *there)
{
	const char *why = "";
	char name[256];
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);

	record(0, AUTOMATIC, 1000, 1);
	gcpreload_ring_status(&status);
	CHECK(!gcpreload_ring_published());
	CHECK(access(place_rings(there), F_OK) < 0);
	CHECK(publish(there, &why) == 0);
	CHECK(gcpreload_ring_published());
	CHECK(place_count(there, name) == 1);
	CHECK(!is_hidden(name));
	CHECK(publish(there, &why) == 0);
	CHECK(place_count(there, name) == 1);
}

static void what_was_written_is_read(const char *there)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);
	struct gcpreload_reader reader;
	struct gcpreload_series series;
	struct gcpreload_slot slot;
	const char *why = "";

	record(0, AUTOMATIC, 1000000, 7);
	record(2, GCPRELOAD_CAUSE_READY, 5000000, 70);
	gcpreload_ring_status(&status);
	CHECK(publish(there, &why) == 0);
	record(1, AUTOMATIC, 2000000, 700);
	open_only_ring(there, &reader);
	CHECK(reader.header.pid == (int32_t)getpid() && reader.header.ppid == (int32_t)getppid());
	CHECK(reader.header.state == GCPRELOAD_STATE_READY);
	CHECK(reader.header.frozen_objects == 1234);
	CHECK(reader.header.thresholds[0] == 50000 && reader.header.thresholds_before[0] == 700);
	CHECK(strcmp(reader.header.reason, "a reason") == 0);
	CHECK(strcmp(reader.header.library, GCPRELOAD_VERSION) == 0);
	CHECK(reader.header.head == 3);
	CHECK(reader.header.start_time > 0 && reader.header.pid_namespace > 0);
	CHECK(strstr(reader.header.command, "test_writer"));
	CHECK(gcpreload_reader_next(&reader, &slot) == 1);
	CHECK(slot.generation == 0 && slot.duration_ns == 1000000 && slot.collected == 7);
	CHECK(slot.period == STARTUP && slot.thread == (uint32_t)syscall(SYS_gettid));
	CHECK(gcpreload_reader_next(&reader, &slot) == 1);
	CHECK(slot.generation == 2 && slot.cause == GCPRELOAD_CAUSE_READY);
	CHECK(gcpreload_reader_next(&reader, &slot) == 1);
	CHECK(slot.generation == 1 && slot.period == GCPRELOAD_PERIOD_TUNED);
	CHECK(gcpreload_reader_next(&reader, &slot) == 0 && reader.lost == 0);
	CHECK(gcpreload_reader_series(&reader, GCPRELOAD_PERIOD_TUNED, 1, AUTOMATIC, &series) == 0);
	CHECK(series.collections == 1 && series.collected == 700 && series.sum_ns == 2000000);
	CHECK(series.max_ns == 2000000);
	CHECK(count_of(&reader, STARTUP, 0, AUTOMATIC) == 1);
	CHECK(count_of(&reader, STARTUP, 2, GCPRELOAD_CAUSE_READY) == 1);
	/* What the file does not have is zero, not an error. */
	CHECK(count_of(&reader, 77, 0, 0) == 0 && count_of(&reader, 0, 3, 0) == 0);
	gcpreload_reader_close(&reader);
}

/* 300 early events pass the 256 slots in .bss, and more the 2048 of the file. */
static void overrun_is_counted(const char *there)
{
	struct gcpreload_reader reader;
	struct gcpreload_slot slot;
	const char *why = "";
	uint64_t i, n = 0;

	for (i = 0; i < 300; i++)
		record(0, AUTOMATIC, 1000 + i, i);
	CHECK(publish(there, &why) == 0);
	open_only_ring(there, &reader);
	while (gcpreload_reader_next(&reader, &slot) == 1)
		CHECK(slot.collected == 44 + n++);
	CHECK(n == 256 && reader.lost == 44);
	CHECK(count_of(&reader, STARTUP, 0, AUTOMATIC) == 300);
	for (; i < 2045; i++)
		record(0, AUTOMATIC, 1000, i);
	reader.next = 2040;
	CHECK(gcpreload_reader_refresh(&reader, &why) == 0);
	/* Across the end of the ring. */
	for (; i < 2060; i++) {
		record(0, AUTOMATIC, 1000, i);
		CHECK(gcpreload_reader_refresh(&reader, &why) == 0);
	}
	for (n = 2040; n < 2060; n++)
		CHECK(gcpreload_reader_next(&reader, &slot) == 1 && slot.collected == n);
	CHECK(gcpreload_reader_next(&reader, &slot) == 0 && reader.lost == 44);
	for (; i < 10000; i++)
		record(0, AUTOMATIC, 1000, i);
	CHECK(gcpreload_reader_refresh(&reader, &why) == 0);
	for (n = 10000 - 2048; n < 10000; n++)
		CHECK(gcpreload_reader_next(&reader, &slot) == 1 && slot.collected == n);
	CHECK(gcpreload_reader_next(&reader, &slot) == 0);
	CHECK(reader.lost == 44 + 10000 - 2048 - 2060);
	CHECK(count_of(&reader, STARTUP, 0, AUTOMATIC) == 10000);
	gcpreload_reader_close(&reader);
}

static void grandchild_counts_apart(const char *there)
{
	struct gcpreload_reader reader;
	const char *why = "";
	char other[64];
	int status;
	pid_t pid;

	record(0, AUTOMATIC, 1000, 5);
	record(0, AUTOMATIC, 1000, 5);
	CHECK(publish(there, &why) == 0);
	record(2, AUTOMATIC, 1000, 1);
	snprintf(other, sizeof other, "%s/child", there);
	CHECK(mkdir(other, 0700) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(!gcpreload_ring_published());
		record(0, AUTOMATIC, 1000, 3);
		CHECK(publish(other, &why) == 0);
		open_only_ring(other, &reader);
		CHECK(reader.header.pid == (int32_t)getpid());
		CHECK(reader.header.head == 1);
		CHECK(reader.header.inherited[0].collections == 2);
		CHECK(reader.header.inherited[0].collected == 10);
		CHECK(reader.header.inherited[1].collections == 0);
		CHECK(reader.header.inherited[2].collections == 1);
		CHECK(count_of(&reader, STARTUP, 0, AUTOMATIC) == 1);
		CHECK(count_of(&reader, STARTUP, 2, AUTOMATIC) == 0);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	record(0, AUTOMATIC, 1000, 5);
	rmdir(other);
}

static pid_t raw_clone(void)
{
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/* atfork handlers see fork() only; a child that wrote to the mapping would die, or lie. */
static void child_leaves_its_parents_ring_alone(const char *there)
{
	pid_t (*const kinds[])(void) = { fork, raw_clone };
	struct gcpreload_reader reader;
	const char *why = "";
	int status;
	size_t i;
	pid_t pid;

	record(0, AUTOMATIC, 1000, 5);
	CHECK(publish(there, &why) == 0);
	for (i = 0; i < 2; i++) {
		pid = kinds[i]();
		if (pid == 0) {
			record(1, AUTOMATIC, 1000, 5);
			_exit(gcpreload_ring_published());
		}
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	open_only_ring(there, &reader);
	CHECK(reader.header.head == 1 && count_of(&reader, STARTUP, 1, AUTOMATIC) == 0);
	gcpreload_reader_close(&reader);
}

#define THREADS	  4
#define EACH	  20000
#define COLLECTED 3

static void *record_many(void *arg)
{
	int i;

	for (i = 0; i < EACH; i++)
		record((unsigned)(i % 3), AUTOMATIC, 1000 + (uint64_t)i, COLLECTED);
	return arg;
}

static void threads_lose_no_count(const char *there)
{
	struct gcpreload_reader reader;
	struct gcpreload_series series;
	pthread_t threads[THREADS];
	uint64_t n = 0, collected = 0, in_buckets = 0;
	const char *why = "";
	int i, g;

	gcpreload_ring_concurrent();
	record(0, AUTOMATIC, 1000, COLLECTED);
	CHECK(publish(there, &why) == 0);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, record_many, NULL) == 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	open_only_ring(there, &reader);
	for (g = 0; g < 3; g++) {
		CHECK(gcpreload_reader_series(&reader, STARTUP, (unsigned)g, AUTOMATIC, &series) ==
		      0);
		n += series.collections;
		collected += series.collected;
		CHECK(series.max_ns >= 1000 + EACH - 3);
		for (i = 0; i < GCPRELOAD_BUCKETS; i++)
			in_buckets += series.buckets[i];
		in_buckets += series.below + series.above;
	}
	CHECK(n == THREADS * EACH + 1);
	CHECK(in_buckets == n && collected == n * COLLECTED);
	CHECK(reader.header.head == n);
	gcpreload_reader_close(&reader);
}

static void periods_are_added_up(const char *there)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);
	struct gcpreload_reader reader;
	const struct gcpreload_header *h = &reader.header;
	const char *why = "";

	record(0, AUTOMATIC, 1000, 1);
	usleep(2000);
	gcpreload_ring_status(&status);
	CHECK(publish(there, &why) == 0);
	usleep(2000);
	status.period = GCPRELOAD_PERIOD_BASELINE;
	gcpreload_ring_status(&status);
	usleep(2000);
	status.period = GCPRELOAD_PERIOD_TUNED;
	gcpreload_ring_status(&status);
	open_only_ring(there, &reader);
	CHECK(h->period == GCPRELOAD_PERIOD_TUNED);
	CHECK(h->period_ns[0] && h->period_ns[0] < h->period_ns[2] &&
	      h->period_ns[2] < h->period_ns[1]);
	CHECK(h->period_since_ns > h->period_ns[1]);
	CHECK(h->period_spent_ns[0] >= 2000000 && h->period_spent_ns[0] < 10000000000);
	CHECK(h->period_spent_ns[1] >= 2000000 && h->period_spent_ns[2] >= 2000000);
	CHECK(h->period_spent_ns[0] + h->period_spent_ns[1] + h->period_spent_ns[2] ==
	      h->period_since_ns - h->period_ns[0]);
	gcpreload_reader_close(&reader);
}

/* Added to each read of the clock. */
static int64_t clock_steps_s;

/* In the place of libc's, for the writer in this program. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int ret = (int)syscall(SYS_clock_gettime, clock, ts);

	ts->tv_sec += clock_steps_s;
	return ret;
}

static void clock_that_steps_back(const char *there)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);
	struct gcpreload_reader reader;
	const char *why = "";
	int i;

	clock_steps_s = 1000;
	record(0, AUTOMATIC, 1000, 1);
	clock_steps_s = 500;
	gcpreload_ring_status(&status);
	clock_steps_s = 200;
	status.period = GCPRELOAD_PERIOD_BASELINE;
	gcpreload_ring_status(&status);
	CHECK(publish(there, &why) == 0);
	open_only_ring(there, &reader);
	for (i = 0; i < GCPRELOAD_PERIODS; i++)
		CHECK(reader.header.period_spent_ns[i] == 0);
	gcpreload_reader_close(&reader);
}

/* A worker that was forked without a collection until it is ready. */
static void child_that_had_no_event(const char *there)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);
	struct gcpreload_reader reader;
	const struct gcpreload_header *h = &reader.header;
	const char *why = "";
	int result;
	pid_t pid;

	record(0, AUTOMATIC, 1000, 1);
	pid = fork();
	if (pid == 0) {
		gcpreload_ring_status(&status);
		CHECK(publish(there, &why) == 0);
		open_only_ring(there, &reader);
		CHECK(h->period_ns[STARTUP] <= h->period_ns[GCPRELOAD_PERIOD_TUNED]);
		CHECK(h->period_spent_ns[STARTUP] ==
		      h->period_ns[GCPRELOAD_PERIOD_TUNED] - h->attached_ns);
		_exit(0);
	}
	CHECK(waitpid(pid, &result, 0) == pid && WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

/* flock(2) tells the living from the dead; crash or not. */
static void lives_until_it_is_dead(void **state)
{
	struct gcpreload_reader reader;
	struct writer writer;
	char name[256];

	(void)state;
	writer = writer_begin(no_file_before_publish, place);
	assert_int_equal(place_count(place, name), 1);
	open_only_ring(place, &reader);
	assert_true(gcpreload_reader_alive(&reader));
	assert_true(gcpreload_reader_alive(&reader));
	kill(writer.pid, SIGKILL);
	writer_end(&writer);
	assert_false(gcpreload_reader_alive(&reader));
	gcpreload_reader_close(&reader);
}

/* At the moment when the file gets its name. */
static struct {
	int calls;
	int error; /* to fail with */
	uint64_t head, automatic, ready;
} named;

/* In the place of libc's, for the writer in this program. */
int renameat(int olddir, const char *old, int newdir, const char *new)
{
	struct gcpreload_reader reader;
	const char *why = "";
	char path[512];

	named.calls++;
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", olddir, old);
	reader.fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(reader.fd >= 0 && gcpreload_reader_refresh(&reader, &why) == 0);
	named.head = reader.header.head;
	named.automatic = count_of(&reader, STARTUP, 0, AUTOMATIC);
	named.ready = count_of(&reader, STARTUP, 2, GCPRELOAD_CAUSE_READY);
	close(reader.fd);
	if (named.error) {
		errno = named.error;
		return -1;
	}
	return (int)syscall(SYS_renameat2, olddir, old, newdir, new, 0);
}

static void whole_when_it_gets_its_name(const char *there)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);
	const char *why = "";

	record(0, AUTOMATIC, 1000, 1);
	record(2, GCPRELOAD_CAUSE_READY, 5000000, 70);
	gcpreload_ring_status(&status);
	CHECK(publish(there, &why) == 0);
	CHECK(named.calls == 1 && named.head == 2 && named.automatic == 1 && named.ready == 1);
}

static void no_name_and_all_is_kept(const char *there)
{
	struct gcpreload_reader reader;
	const char *why = "";
	char name[256];

	record(0, AUTOMATIC, 1000, 1);
	named.error = EACCES;
	CHECK(publish(there, &why) == -EACCES);
	CHECK(strstr(why, "its name") && !gcpreload_ring_published());
	CHECK(place_count(there, name) == 0);
	record(0, AUTOMATIC, 1000, 1);
	named.error = 0;
	CHECK(publish(there, &why) == 0);
	open_only_ring(there, &reader);
	CHECK(count_of(&reader, STARTUP, 0, AUTOMATIC) == 2 && reader.header.head == 2);
}

static void file_is_read_only_and_private(const char *there)
{
	const char *why = "";
	char name[256], path[512];
	struct stat st;

	CHECK(publish(there, &why) == 0);
	CHECK(place_count(there, name) == 1);
	CHECK(stat(place_rings(there), &st) == 0 && (st.st_mode & 07777) == 0700);
	snprintf(path, sizeof path, "%s/%s", place_rings(there), name);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0400);
	CHECK(st.st_size == GCPRELOAD_FILE_SIZE);
	CHECK((uint64_t)st.st_blocks * 512 >= GCPRELOAD_FILE_SIZE);
}

static void refused(const char *there, int error, const char *text)
{
	const char *why = "";

	record(0, AUTOMATIC, 1000, 1);
	CHECK(publish(there, &why) == error);
	if (!strstr(why, text))
		fprintf(stderr, "%s\n", why);
	CHECK(strstr(why, text));
	CHECK(!gcpreload_ring_published());
	record(0, AUTOMATIC, 1000, 1); /* counting goes on */
}

/* posix_fallocate beyond the limit would be SIGXFSZ: the end of the host. */
static void small_file_limit(const char *there)
{
	struct rlimit limit = { 4096, 4096 };

	CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	refused(there, -EFBIG, "RLIMIT_FSIZE");
	CHECK(place_count(there, NULL) == 0);
}

static void no_descriptors(const char *there)
{
	struct rlimit limit = { 0, 0 };

	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	refused(there, -EMFILE, "cannot be opened");
}

static void symbolic_link(const char *there)
{
	char elsewhere[128];

	snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", there);
	CHECK(mkdir(elsewhere, 0700) == 0 && symlink(elsewhere, place_rings(there)) == 0);
	refused(there, -ENOTDIR, "no directory of ours");
	CHECK(rmdir(elsewhere) == 0);
}

static void directory_of_others(const char *there)
{
	if (geteuid() != 0)
		return;
	CHECK(mkdir(place_rings(there), 0700) == 0 && chown(place_rings(there), 65534, 0) == 0);
	refused(there, -EPERM, "another user");
}

static void directory_open_to_the_group(const char *there)
{
	CHECK(mkdir(place_rings(there), 0700) == 0 && chmod(place_rings(there), 0770) == 0);
	refused(there, -EPERM, "others may write");
}

static void not_on_tmpfs(const char *there)
{
	(void)there;
	refused("/proc", -EMEDIUMTYPE, "tmpfs");
	refused("/nosuchdirectory", -ENOENT, "cannot be opened");
}

static void file_in_the_way(const char *there)
{
	int fd = open(place_rings(there), O_CREAT | O_WRONLY, 0600);

	CHECK(fd >= 0);
	refused(there, -ENOTDIR, "no directory of ours");
}

/* Each test's body in a process of its own. */
#define CHILD_TEST(body)                                                                           \
	static void test_##body(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		assert_int_equal(in_child(body, place), 0);                                        \
	}

CHILD_TEST(no_file_before_publish)
CHILD_TEST(whole_when_it_gets_its_name)
CHILD_TEST(no_name_and_all_is_kept)
CHILD_TEST(what_was_written_is_read)
CHILD_TEST(overrun_is_counted)
CHILD_TEST(grandchild_counts_apart)
CHILD_TEST(child_leaves_its_parents_ring_alone)
CHILD_TEST(threads_lose_no_count)
CHILD_TEST(periods_are_added_up)
CHILD_TEST(clock_that_steps_back)
CHILD_TEST(child_that_had_no_event)
CHILD_TEST(file_is_read_only_and_private)
CHILD_TEST(small_file_limit)
CHILD_TEST(no_descriptors)
CHILD_TEST(symbolic_link)
CHILD_TEST(directory_of_others)
CHILD_TEST(directory_open_to_the_group)
CHILD_TEST(not_on_tmpfs)
CHILD_TEST(file_in_the_way)

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_file_before_publish),
		TEST(test_whole_when_it_gets_its_name),
		TEST(test_no_name_and_all_is_kept),
		TEST(test_what_was_written_is_read),
		TEST(test_overrun_is_counted),
		TEST(test_grandchild_counts_apart),
		TEST(test_child_leaves_its_parents_ring_alone),
		TEST(test_threads_lose_no_count),
		TEST(test_periods_are_added_up),
		TEST(test_clock_that_steps_back),
		TEST(test_child_that_had_no_event),
		TEST(lives_until_it_is_dead),
		TEST(test_file_is_read_only_and_private),
		TEST(test_small_file_limit),
		TEST(test_no_descriptors),
		TEST(test_symbolic_link),
		TEST(test_directory_of_others),
		TEST(test_directory_open_to_the_group),
		TEST(test_not_on_tmpfs),
		TEST(test_file_in_the_way),
	};

	return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}

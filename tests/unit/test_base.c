/* SPDX-License-Identifier: MIT */
/* base/: small files, what /proc says of a process, hashes of names. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fnv.h"
#include "base/machine.h"
#include "base/proc_stat.h"
#include "base/small_file.h"

static const char *file_with(const char *bytes, size_t n)
{
	static char path[] = "/dev/shm/gcpreload-test-XXXXXX";
	int fd;

	strcpy(path, "/dev/shm/gcpreload-test-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
	return path;
}

static void test_a_file_is_read_as_far_as_there_is_room(void **state)
{
	const char *path = file_with("12345", 5);
	char text[8];

	(void)state;
	assert_int_equal(small_file_read(path, text, sizeof text), 5);
	assert_string_equal(text, "12345");
	assert_int_equal(small_file_read(path, text, 4), 3);
	assert_string_equal(text, "123");
	assert_int_equal(small_file_read(path, text, 1), 0);
	assert_string_equal(text, "");
	unlink(path);
}

static void test_what_cannot_be_read_is_empty(void **state)
{
	char text[8] = "before";

	(void)state;
	assert_int_equal(small_file_read("/nonexistent", text, sizeof text), -ENOENT);
	assert_string_equal(text, "");
	strcpy(text, "before");
	assert_int_equal(small_file_read("/proc", text, sizeof text), -EISDIR);
	assert_string_equal(text, "");
}

static void test_a_fifo_is_not_waited_for(void **state)
{
	const char *path = file_with("", 0);
	char text[8];

	(void)state;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(small_file_read(path, text, sizeof text), 0);
	unlink(path);
}

static void test_a_name_that_looks_like_the_rest(void **state)
{
	struct proc_stat stat, again;
	char name[16];

	(void)state;
	assert_int_equal(proc_stat_read("/proc/self/stat", &stat), 0);
	prctl(PR_GET_NAME, name);
	prctl(PR_SET_NAME, "a) Z 1 (b 2) 3");
	assert_int_equal(proc_stat_read("/proc/self/stat", &again), 0);
	prctl(PR_SET_NAME, name);
	assert_int_equal(again.state, 'R');
	assert_int_equal(again.parent, getppid());
	assert_true(again.start_time > 0);
	assert_true(again.start_time == stat.start_time);
	assert_true(again.start_time == machine_start_time(getpid()));
}

static void test_a_process_that_is_no_more(void **state)
{
	struct proc_stat stat = { .parent = 1 };
	const char *path = file_with("12 (cut", 7);

	(void)state;
	assert_int_equal(proc_stat_read("/proc/0/stat", &stat), -ENOENT);
	assert_int_equal(stat.parent, 0);
	stat.parent = 1;
	assert_int_equal(proc_stat_read(path, &stat), -EBADMSG);
	assert_int_equal(stat.parent, 0);
	unlink(path);
}

/* The authors' own vectors. */
static void test_hashes(void **state)
{
	(void)state;
	assert_true(fnv_32(FNV_32, "foobar", 6) == 0xbf9cf968u);
	assert_true(fnv_64(FNV_64, "foobar", 6) == 0x85944171f73967e8u);
	assert_true(fnv_32(fnv_32(FNV_32, "foo", 3), "bar", 3) == 0xbf9cf968u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_is_read_as_far_as_there_is_room),
		cmocka_unit_test(test_what_cannot_be_read_is_empty),
		cmocka_unit_test(test_a_fifo_is_not_waited_for),
		cmocka_unit_test(test_a_name_that_looks_like_the_rest),
		cmocka_unit_test(test_a_process_that_is_no_more),
		cmocka_unit_test(test_hashes),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}

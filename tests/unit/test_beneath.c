/* SPDX-License-Identifier: MIT */
/* Both ways of opening a directory in somebody else's root. */
#include <errno.h>

#include "cli/beneath.h"
#include "test_rings.h"

static char place[64];
static int root;

static int (*const ways[])(int root, const char *path) = { beneath_open, beneath_walk };

static int setup(void **state)
{
	(void)state;
	place_make(place);
	root = open(place, O_RDONLY | O_DIRECTORY);
	mkdirat(root, "dev", 0700);
	mkdirat(root, "dev/shm", 0700);
	mkdirat(root, "dev/shm/mine", 0700);
	assert_int_equal(symlinkat("/dev/shm", root, "dev/absolute"), 0);
	assert_int_equal(symlinkat("shm", root, "dev/within"), 0);
	assert_int_equal(symlinkat("/", root, "out"), 0);
	close(openat(root, "file", O_CREAT | O_WRONLY, 0600));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(root);
	place_remove(place);
	return 0;
}

static void is(const char *path, int error)
{
	struct stat a, b;
	size_t i;
	int fd;

	for (i = 0; i < sizeof ways / sizeof *ways; i++) {
		errno = 0;
		fd = ways[i](root, path);
		if (error) {
			assert_int_equal(fd, -1);
			assert_int_equal(errno, error);
			continue;
		}
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &a), 0);
		assert_int_equal(fstatat(root, "dev/shm", &b, 0), 0);
		assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
		close(fd);
	}
}

static void directories(void **state)
{
	(void)state;
	is("/dev/shm", 0);
	is("dev/shm", 0);
	is("//dev//./shm//", 0);
	is("/dev/nothing", ENOENT);
	is("/file", ENOTDIR);
}

static void no_way_out(void **state)
{
	(void)state;
	is("/dev/absolute", ELOOP);
	is("/dev/within", ELOOP);
	is("/dev/within/mine", ELOOP);
	is("/out/dev/shm", ELOOP);
	is("/../dev/shm", EXDEV);
	is("dev/shm/../shm", EXDEV);
	is("..", EXDEV);
}

/* Links of that root, as those of Kubernetes' files, lead where its own processes come out. */
static void as_seen(void **state)
{
	static const char *const ways_in[] = { "/file", "file", "/out/file", "/../file",
					       "/dev/absolute/link" };
	struct stat a, b;
	size_t i;
	int fd;

	(void)state;
	assert_int_equal(symlinkat("/file", root, "dev/shm/link"), 0);
	assert_int_equal(symlinkat("/etc/passwd", root, "foreign"), 0);
	fd = beneath_open_as_seen(root, "/file");
	if (fd < 0 && errno == ENOSYS)
		skip();
	close(fd);
	assert_int_equal(fstatat(root, "file", &b, 0), 0);
	for (i = 0; i < sizeof ways_in / sizeof *ways_in; i++) {
		fd = beneath_open_as_seen(root, ways_in[i]);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &a), 0);
		assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
		close(fd);
	}
	assert_int_equal(beneath_open_as_seen(root, "/foreign"), -1);
	assert_int_equal(errno, ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(directories), TEST(no_way_out), TEST(as_seen) };

	return cmocka_run_group_tests_name("beneath", tests, NULL, NULL);
}

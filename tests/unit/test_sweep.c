/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "base/machine.h"
#include "ring/family.h"
#include "ring/names.h"
#include "ring/raw.h"
#include "ring/retired.h"
#include "ring/sweep.h"
#include "test_rings.h"

#define LOCKERS 3
#define LOCKS	20000

static char place[64];
static int dir;
static char told[8192];

static int setup(void **state)
{
	(void)state;
	place_make(place);
	dir = open(place, O_RDONLY | O_DIRECTORY);
	told[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(dir);
	place_remove(place);
	return 0;
}

static void tell(void *arg, const char *name)
{
	assert_ptr_equal(arg, told);
	strcat(told, name);
	strcat(told, "\n");
}

/* A dead ring: a file that nobody has locked. Its header says when it last lived. It is of one
 * page, has no series and one slot. */
static void dead(const char *name, uint64_t ago_s)
{
	struct gcpreload_header h = { .magic = { 0 } };
	int fd = openat(dir, name, O_CREAT | O_WRONLY, 0400);

	ring_fill_layout(&h);
	memcpy(h.magic, GCPRELOAD_RING_MAGIC, 8);
	h.total_size = h.header_size = 4096;
	h.header_size -= 64;
	h.n_periods = 0;
	h.slots_offset = h.header_size;
	h.n_slots = 1;
	assert_int_equal(ftruncate(fd, 4096), 0);
	h.changed_ns = gcpreload_now_ns() - ago_s * 1000000000;
	assert_int_equal(write(fd, &h, sizeof h), sizeof h);
	close(fd);
}

static bool there(const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int sweep(uint32_t files, uint64_t bytes, uint64_t age, uint32_t look, bool dry)
{
	const struct gcpreload_sweep_limits limits = { .max_files = files,
						       .max_bytes = bytes,
						       .max_age_s = age,
						       .max_look = look,
						       .dry_run = dry };

	return gcpreload_sweep(dir, &limits, tell, told);
}

static void kinds(void **state)
{
	static const struct {
		const char *name;
		enum gcpreload_name kind;
	} names[] = {
		{ "1.2.deadbeef", GCPRELOAD_NAME_RING },
		{ "4194304.18446744073709551615.00000000", GCPRELOAD_NAME_RING },
		{ "1.2.deadbeef.ctl", GCPRELOAD_NAME_CONTROL },
		{ "1.2.ctl", GCPRELOAD_NAME_PROCESS },
		{ "4194304.18446744073709551615.ctl", GCPRELOAD_NAME_PROCESS },
		{ ".1.2.ctl.new", GCPRELOAD_NAME_HALF },
		{ ".1.2.deadbeef.new", GCPRELOAD_NAME_HALF },
		{ ".1.2.deadbeef.ctl.new", GCPRELOAD_NAME_HALF },
		{ "retired.0", GCPRELOAD_NAME_TOTALS },
		{ "retired.63", GCPRELOAD_NAME_TOTALS },
		{ "retired.other", GCPRELOAD_NAME_TOTALS },
		{ ".retired.7.new", GCPRELOAD_NAME_HALF },
		{ ".retired.other.new", GCPRELOAD_NAME_HALF },
		{ "retired.64", GCPRELOAD_NAME_OTHER },
		{ "retired.07", GCPRELOAD_NAME_OTHER },
		{ "retired.1.new", GCPRELOAD_NAME_OTHER },
		{ ".retired.1", GCPRELOAD_NAME_OTHER },
		{ ".family.1.2", GCPRELOAD_NAME_FAMILY },
		{ ".family.4194304.18446744073709551615", GCPRELOAD_NAME_FAMILY },
		{ ".family.1", GCPRELOAD_NAME_OTHER },
		{ ".family.1.", GCPRELOAD_NAME_OTHER },
		{ ".family.1.2.3", GCPRELOAD_NAME_OTHER },
		{ "family.1.2", GCPRELOAD_NAME_OTHER },
		{ "", GCPRELOAD_NAME_OTHER },
		{ ".", GCPRELOAD_NAME_OTHER },
		{ "..", GCPRELOAD_NAME_OTHER },
		{ "1.2.deadbee", GCPRELOAD_NAME_OTHER },
		{ "1.2.deadbeef0", GCPRELOAD_NAME_OTHER },
		{ "1.2.DEADBEEF", GCPRELOAD_NAME_OTHER },
		{ "1..deadbeef", GCPRELOAD_NAME_OTHER },
		{ "x.2.deadbeef", GCPRELOAD_NAME_OTHER },
		{ "-1.2.deadbeef", GCPRELOAD_NAME_OTHER },
		{ "11111111111.2.deadbeef", GCPRELOAD_NAME_OTHER },
		{ "1.2.deadbeef.txt", GCPRELOAD_NAME_OTHER },
		{ ".1.2.deadbeef", GCPRELOAD_NAME_OTHER },
		{ "1.2.deadbeef.ctl.new", GCPRELOAD_NAME_OTHER },
		{ "1.2", GCPRELOAD_NAME_OTHER },
		{ "1.ctl", GCPRELOAD_NAME_OTHER },
		{ "1.2.3.ctl", GCPRELOAD_NAME_OTHER },
		{ "1.2.ctl.new", GCPRELOAD_NAME_OTHER },
		{ ".1.2.ctl", GCPRELOAD_NAME_OTHER },
		{ "important.txt", GCPRELOAD_NAME_OTHER },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (gcpreload_name_kind(names[i].name) != names[i].kind)
			fail_msg("%s is not of kind %d", names[i].name, names[i].kind);
}

static void removes_the_dead_only(void **state)
{
	int fd;

	(void)state;
	dead("1.1.00000001", 0);
	dead("2.1.00000002", 1000);
	dead("2.1.00000002.ctl", 0);
	dead("3.1.00000003", 1000);
	dead("3.1.00000003.ctl", 0);
	dead("important.txt", 1000);
	dead(".4.1.00000004.new", 1000);
	fd = openat(dir, "3.1.00000003", O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(sweep(0, 0, 0, 0, true), 3);
	assert_true(there("1.1.00000001") && there("2.1.00000002") && there("2.1.00000002.ctl"));
	told[0] = '\0';
	assert_int_equal(sweep(0, 0, 0, 0, false), 3);
	assert_non_null(strstr(told, "1.1.00000001\n"));
	assert_non_null(strstr(told, "2.1.00000002\n"));
	assert_non_null(strstr(told, "2.1.00000002.ctl\n"));
	assert_false(there("1.1.00000001") || there("2.1.00000002") || there("2.1.00000002.ctl"));
	assert_true(there("3.1.00000003") && there("3.1.00000003.ctl"));
	/* Younger than a minute by the file's own time, whatever its content says. */
	assert_true(there("important.txt") && there(".4.1.00000004.new"));
	close(fd);
	assert_int_equal(sweep(0, 0, 0, 0, false), 2);
}

static int in_two_minutes(clockid_t id, struct timespec *ts)
{
	int ret = clock_gettime(id, ts);

	ts->tv_sec += 120;
	return ret;
}

/* A pid comes again: only with the time of its start it says which process is meant. */
static void commands_to_processes_without_a_ring(void **state)
{
	unsigned long long start = machine_start_time(getpid());
	char own[64], gone[64];
	int removed;

	(void)state;
	snprintf(own, sizeof own, "%d.%llu.ctl", getpid(), start);
	snprintf(gone, sizeof gone, "%d.%llu.ctl", getpid(), start + 1);
	dead(own, 0);
	dead(gone, 0);
	assert_int_equal(sweep(0, 0, 0, 0, false), 0);
	gcpreload_clock = in_two_minutes;
	removed = sweep(0, 0, 0, 0, false);
	gcpreload_clock = clock_gettime;
	assert_int_equal(removed, 1);
	assert_true(there(own));
	assert_false(there(gone));
}

/* It may be of another version, or a mistake: whoever made it may still read it. */
static void what_cannot_be_read_stays(void **state)
{
	const struct gcpreload_sweep_limits totals = { .totals = true };
	uint64_t major = 2;
	int fd;

	(void)state;
	dead("1.1.00000001", 1000);
	dead("2.1.00000002", 1000);
	dead("2.1.00000002.ctl", 1000);
	fd = openat(dir, "3.1.00000003", O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0 && close(fd) == 0); /* empty */
	fchmodat(dir, "2.1.00000002", 0600, 0);
	fd = openat(dir, "2.1.00000002", O_WRONLY);
	assert_int_equal(pwrite(fd, &major, 2, offsetof(struct gcpreload_header, major)), 2);
	assert_int_equal(close(fd), 0);
	assert_int_equal(sweep(0, 0, 0, 0, true), 1);
	assert_int_equal(sweep(0, 0, 0, 0, false), 1);
	assert_int_equal(gcpreload_sweep(dir, &totals, NULL, NULL), 1); /* of the first one */
	assert_false(there("1.1.00000001"));
	assert_true(there("2.1.00000002") && there("2.1.00000002.ctl") && there("3.1.00000003"));
}

static void links_and_directories_stay(void **state)
{
	(void)state;
	dead("important", 1000);
	assert_int_equal(symlinkat("important", dir, "1.1.00000001"), 0);
	assert_int_equal(mkdirat(dir, "1.1.00000002", 0700), 0);
	assert_int_equal(mkfifoat(dir, "1.1.00000003", 0600), 0);
	assert_int_equal(sweep(0, 0, 0, 0, false), 0);
	assert_true(there("1.1.00000001") && there("1.1.00000002") && there("1.1.00000003"));
	assert_true(there("important"));
}

static void by_number_oldest_first(void **state)
{
	(void)state;
	dead("1.1.00000001", 30);
	dead("2.1.00000002", 10);
	dead("3.1.00000003", 40);
	dead("4.1.00000004", 20);
	assert_int_equal(sweep(4, UINT64_MAX, UINT64_MAX, 0, false), 0);
	assert_int_equal(sweep(2, UINT64_MAX, UINT64_MAX, 0, false), 2);
	assert_true(there("2.1.00000002") && there("4.1.00000004"));
	/* Which of the two oldest went first depends on the directory's order. */
	assert_false(there("1.1.00000001") || there("3.1.00000003"));
	assert_int_equal(sweep(1, UINT64_MAX, UINT64_MAX, 0, false), 1);
	assert_true(there("2.1.00000002"));
	assert_int_equal(sweep(0, UINT64_MAX, UINT64_MAX, 0, false), 1);
}

static void by_bytes(void **state)
{
	(void)state;
	dead("1.1.00000001", 0);
	dead("2.1.00000002", 0);
	dead("3.1.00000003", 0);
	assert_int_equal(sweep(UINT32_MAX, 3 * 4096, UINT64_MAX, 0, false), 0);
	assert_int_equal(sweep(UINT32_MAX, 2 * 4096 + 1, UINT64_MAX, 0, false), 1);
	assert_int_equal(sweep(UINT32_MAX, 4095, UINT64_MAX, 0, false), 2);
}

static void by_age(void **state)
{
	(void)state;
	dead("1.1.00000001", 5);
	dead("2.1.00000002", 40);
	assert_int_equal(sweep(UINT32_MAX, UINT64_MAX, 200, 0, false), 0);
	assert_int_equal(sweep(UINT32_MAX, UINT64_MAX, 20, 0, false), 1);
	assert_true(there("1.1.00000001"));
	assert_int_equal(sweep(UINT32_MAX, UINT64_MAX, 0, 0, false), 1);
}

static void more_than_it_can_sort(void **state)
{
	char name[64];
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "%d.1.%08x", i + 1, (unsigned)i);
		dead(name, 0);
	}
	assert_int_equal(sweep(UINT32_MAX, UINT64_MAX, UINT64_MAX, 0, false),
			 200 - GCPRELOAD_SWEEP_MOST);
	assert_int_equal(sweep(0, 0, 0, 0, false), GCPRELOAD_SWEEP_MOST);
	assert_int_equal(sweep(0, 0, 0, 0, false), 0);
}

static void work_is_bounded(void **state)
{
	char name[64];
	int i, n;

	(void)state;
	for (i = 0; i < 50; i++) {
		snprintf(name, sizeof name, "%d.1.%08x", i + 1, (unsigned)i);
		dead(name, 0);
	}
	n = sweep(0, 0, 0, 10, false);
	assert_true(n >= 8 && n <= 10); /* "." and ".." count too */
}

static void folds_are_bounded(void **state)
{
	const struct gcpreload_sweep_limits limits = { .max_folds = 10 };
	char name[64];
	int i;

	(void)state;
	for (i = 0; i < 25; i++) {
		snprintf(name, sizeof name, "%d.1.%08x", i + 1, (unsigned)i);
		dead(name, 0);
	}
	assert_int_equal(gcpreload_sweep(dir, &limits, NULL, NULL), 10);
	assert_int_equal(gcpreload_sweep(dir, &limits, NULL, NULL), 10);
	assert_int_equal(gcpreload_sweep(dir, &limits, NULL, NULL), 5);
}

static void bad_descriptor(void **state)
{
	const struct gcpreload_sweep_limits all = { 0 };

	(void)state;
	assert_int_equal(gcpreload_sweep(-1, &all, NULL, NULL), -EBADF);
	assert_int_equal(gcpreload_sweep(dir, &all, NULL, NULL), 0);
}

static void living_process(const char *unused)
{
	(void)unused;
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 1);
}

/* A real ring of a process that lives, then of one that died. */
static void a_real_process(void **state)
{
	struct writer writer = writer_begin(living_process, place);
	int rings = open(place_rings(place), O_RDONLY | O_DIRECTORY);
	const struct gcpreload_sweep_limits all = { 0 };
	char name[256];

	(void)state;
	assert_int_equal(gcpreload_sweep(rings, &all, NULL, NULL), 0);
	assert_int_equal(place_count(place, NULL), 1);
	writer_end(&writer);
	assert_int_equal(gcpreload_sweep(rings, &all, NULL, NULL), 1);
	assert_int_equal(place_count(place, name), 1);
	assert_true(gcpreload_retired_name(name, false));
	close(rings);
}

#define ROUNDS 200

static void publish_often(const char *there_)
{
	const char *why = "";
	int i, status;
	pid_t pid;

	for (i = 0; i < ROUNDS; i++) {
		pid = fork();
		if (pid == 0) {
			char name[256];

			record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000, 1);
			CHECK(publish(there_, &why) == 0);
			snprintf(name, sizeof name, "%d.", (int)getpid());
			usleep(200);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		CHECK(WEXITSTATUS(status) == 0);
	}
}

/* A sweeper that never rests against processes that make their files. */
static void never_steals_from_the_living(void **state)
{
	const struct gcpreload_sweep_limits all = { 0 };
	int status, rings, removed = 0, n;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		gcpreload_self_init();
		publish_often(place);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		rings = open(place_rings(place), O_RDONLY | O_DIRECTORY);
		if (rings < 0)
			continue;
		n = gcpreload_sweep(rings, &all, NULL, NULL);
		assert_true(n >= 0);
		removed += n;
		close(rings);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	rings = open(place_rings(place), O_RDONLY | O_DIRECTORY);
	removed += gcpreload_sweep(rings, &all, NULL, NULL);
	close(rings);
	assert_int_equal(removed, ROUNDS);
}

static void lock_often(const struct gcpreload_place *where, int *holders)
{
	int i, fd, got = 0;

	for (i = 0; i < LOCKS || !got; i++) {
		fd = gcpreload_family_lock(where, 1, 2);
		CHECK(fd >= 0 || fd == -EWOULDBLOCK);
		if (fd < 0)
			continue;
		got++;
		CHECK(__atomic_add_fetch(holders, 1, __ATOMIC_SEQ_CST) == 1);
		sched_yield();
		__atomic_sub_fetch(holders, 1, __ATOMIC_SEQ_CST);
		if (i % 7 == 0)
			close(fd); /* as one that was killed */
		else
			gcpreload_family_unlock(fd, where, 1, 2);
	}
}

/* One of a family at a time, also while a sweeper removes what nobody has locked. */
static void a_family_has_one_lock(void **state)
{
	const struct gcpreload_place where = { .dir = place, .group = -1 };
	const struct gcpreload_sweep_limits none = { .max_files = 9 };
	int *holders = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int i, status, rings, running = LOCKERS;

	(void)state;
	assert_int_equal(mkdir(place_rings(place), 0700), 0);
	rings = open(place_rings(place), O_RDONLY | O_DIRECTORY);
	for (i = 0; i < LOCKERS; i++)
		if (fork() == 0) {
			lock_often(&where, holders);
			_exit(0);
		}
	while (running) {
		assert_true(gcpreload_sweep(rings, &none, NULL, NULL) >= 0);
		if (waitpid(-1, &status, WNOHANG) <= 0)
			continue;
		running--;
		assert_int_equal(status, 0);
	}
	gcpreload_sweep(rings, &none, NULL, NULL);
	assert_int_equal(faccessat(rings, ".family.1.2", F_OK, 0), -1);
	close(rings);
	munmap(holders, 4096);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(kinds),
		TEST(removes_the_dead_only),
		TEST(commands_to_processes_without_a_ring),
		TEST(what_cannot_be_read_stays),
		TEST(links_and_directories_stay),
		TEST(by_number_oldest_first),
		TEST(by_bytes),
		TEST(by_age),
		TEST(more_than_it_can_sort),
		TEST(work_is_bounded),
		TEST(folds_are_bounded),
		TEST(bad_descriptor),
		TEST(a_real_process),
		TEST(never_steals_from_the_living),
		TEST(a_family_has_one_lock),
	};

	return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}

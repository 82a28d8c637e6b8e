/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "ring/histogram.h"
#include "ring/retired.h"
#include "ring/sweep.h"
#include "test_rings.h"

static char place[64];
static int rings;
static const char *service = "shop";
static const struct gcpreload_sweep_limits all = { 0 };

static int setup(void **state)
{
	(void)state;
	place_make(place);
	mkdir(place_rings(place), 0700);
	rings = open(place_rings(place), O_RDONLY | O_DIRECTORY);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(rings);
	place_remove(place);
	return 0;
}

static void a_life(const char *unused)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);

	(void)unused;
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 1000000, 11);
	snprintf(status.service_name, sizeof status.service_name, "%s", service);
	snprintf(status.service_version, sizeof status.service_version, "7");
	status.idle.guard_trips = 3;
	status.log_dropped = 2;
	gcpreload_ring_status(&status);
	record(2, GCPRELOAD_CAUSE_READY, 50000000, 5);
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 3000000, 33);
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, 3000000, 33);
}

/* A process lives and dies; the name of its ring. */
static const char *dies(char *name)
{
	struct writer writer = writer_begin(a_life, place);
	char begin[16];
	struct dirent *entry;
	DIR *dir = opendir(place_rings(place));

	snprintf(begin, sizeof begin, "%d.", (int)writer.pid);
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, begin, strlen(begin)) == 0)
			strcpy(name, entry->d_name);
	closedir(dir);
	writer_end(&writer);
	return name;
}

static bool there(const char *name)
{
	return faccessat(rings, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int sweep(void)
{
	return gcpreload_sweep(rings, &all, NULL, NULL);
}

/* The file of a service. */
static bool find(const char *name, struct gcpreload_reader *reader,
		 struct gcpreload_retired *retired)
{
	unsigned i;

	for (i = 0; i < GCPRELOAD_RETIRED_FILES; i++) {
		if (gcpreload_retired_open(reader, retired, rings, i) < 0)
			continue;
		if (strcmp(reader->header.service_name, name) == 0)
			return true;
		gcpreload_reader_close(reader);
	}
	return false;
}

/* Of all files. */
static uint64_t all_folded(unsigned *files)
{
	struct gcpreload_reader reader;
	struct gcpreload_retired retired;
	uint64_t folded = 0;
	unsigned i;

	*files = 0;
	for (i = 0; i < GCPRELOAD_RETIRED_FILES; i++)
		if (gcpreload_retired_open(&reader, &retired, rings, i) == 0) {
			folded += retired.folded;
			++*files;
			gcpreload_reader_close(&reader);
		}
	return folded;
}

static void counts(uint64_t lives)
{
	struct gcpreload_series startup, tuned, ready;
	struct gcpreload_retired retired;
	struct gcpreload_reader reader;

	assert_true(find("shop", &reader, &retired));
	assert_int_equal(retired.folded, lives);
	assert_int_equal(reader.header.head, 4 * lives);
	assert_int_equal(reader.header.idle.guard_trips, 3 * lives);
	assert_int_equal(reader.header.log_dropped, 2 * lives);
	assert_string_equal(reader.header.service_version, "7");
	assert_int_equal(gcpreload_reader_series(&reader, GCPRELOAD_PERIOD_STARTUP, 0,
						 GCPRELOAD_CAUSE_AUTOMATIC, &startup),
			 0);
	assert_int_equal(gcpreload_reader_series(&reader, GCPRELOAD_PERIOD_TUNED, 0,
						 GCPRELOAD_CAUSE_AUTOMATIC, &tuned),
			 0);
	assert_int_equal(gcpreload_reader_series(&reader, GCPRELOAD_PERIOD_TUNED, 2,
						 GCPRELOAD_CAUSE_READY, &ready),
			 0);
	assert_int_equal(startup.collections, lives);
	assert_int_equal(startup.collected, 11 * lives);
	assert_int_equal(tuned.collections, 2 * lives);
	assert_int_equal(tuned.sum_ns, 6000000 * lives);
	assert_int_equal(tuned.max_ns, 3000000);
	assert_int_equal(tuned.buckets[gcpreload_histogram_bucket(3000000)], 2 * lives);
	assert_int_equal(ready.sum_ns, 50000000 * lives);
	gcpreload_reader_close(&reader);
}

static void sums_are_kept(void **state)
{
	char name[256];
	struct stat st;
	int i;

	(void)state;
	for (i = 1; i <= 3; i++) {
		dies(name);
		assert_int_equal(sweep(), 1);
		assert_false(there(name));
		counts((uint64_t)i);
	}
	assert_int_equal(place_count(place, name), 1);
	assert_int_equal(fstatat(rings, name, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_true(st.st_blocks * 512 < 64 * 1024); /* what is empty takes no room */
}

static void new_file_is(uid_t uid, gid_t gid, mode_t mode)
{
	char name[256];
	struct stat st;

	assert_int_equal(sweep(), 1);
	assert_int_equal(place_count(place, name), 1);
	assert_int_equal(fstatat(rings, name, &st, 0), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_gid, gid);
	assert_int_equal(st.st_mode & 07777, mode);
	counts(1);
}

static void the_group_may_read_it(void **state)
{
	char name[256];

	(void)state;
	assert_int_equal(fchmod(rings, 02750), 0);
	dies(name);
	new_file_is(geteuid(), getegid(), 0440);
}

/* Root cleans for a user, who must be able to go on with the file. */
static void it_belongs_to_the_user(void **state)
{
	char name[256];

	(void)state;
	if (geteuid() != 0)
		skip();
	dies(name);
	assert_int_equal(fchown(rings, 1, 2), 0);
	assert_int_equal(fchownat(rings, name, 1, 1, 0), 0);
	new_file_is(1, 2, 0400);
}

static void only_what_is_told_is_not_done(void **state)
{
	const struct gcpreload_sweep_limits dry = { .dry_run = true };
	const struct gcpreload_sweep_limits totals = { .totals = true };
	char name[256];

	(void)state;
	dies(name);
	assert_int_equal(gcpreload_sweep(rings, &dry, NULL, NULL), 1);
	assert_int_equal(place_count(place, NULL), 1);
	assert_int_equal(sweep(), 1);
	dies(name);
	assert_int_equal(gcpreload_sweep(rings, &totals, NULL, NULL), 2);
	assert_int_equal(place_count(place, NULL), 0);
}

static char saved[GCPRELOAD_FILE_SIZE];

static void save(const char *name)
{
	int fd = openat(rings, name, O_RDONLY);

	assert_int_equal(read(fd, saved, sizeof saved), sizeof saved);
	close(fd);
}

/* As if it had been killed before it unlinked that ring. */
static void put_back(const char *name)
{
	int fd = openat(rings, name, O_WRONLY | O_CREAT | O_EXCL, 0400);

	assert_int_equal(write(fd, saved, sizeof saved), sizeof saved);
	close(fd);
}

static void killed_before_the_unlink(void **state)
{
	char name[256];

	(void)state;
	save(dies(name));
	assert_int_equal(sweep(), 1);
	put_back(name);
	assert_int_equal(sweep(), 1);
	assert_false(there(name));
	counts(1);
}

/* The next ring's name is written over that of the one which is counted and still there. */
static void killed_and_another_comes_first(void **state)
{
	char first[256], second[256];
	int fd;

	(void)state;
	save(dies(first));
	assert_int_equal(sweep(), 1);
	dies(second);
	put_back(first);
	fd = openat(rings, second, O_RDONLY);
	assert_int_equal(ring_retired_fold(rings, fd, second), RING_FOLDED);
	assert_true(gcpreload_retired_has(fd));
	close(fd);
	assert_false(there(first));
	counts(2);
	assert_int_equal(sweep(), 1); /* the second one, which is marked */
	counts(2);
}

/* A reader is looking whether it lives at this moment: it must not count twice for that. */
static void killed_and_held(void **state)
{
	char first[256], second[256];
	int fd, held;

	(void)state;
	save(dies(first));
	assert_int_equal(sweep(), 1);
	dies(second);
	put_back(first);
	held = openat(rings, first, O_RDONLY);
	assert_int_equal(flock(held, LOCK_SH), 0);
	fd = openat(rings, second, O_RDONLY);
	assert_int_equal(ring_retired_fold(rings, fd, second), RING_STAYS);
	close(fd);
	close(held);
	counts(1);
	while (sweep() > 0)
		;
	assert_false(there(first) || there(second));
	counts(2);
}

static void killed_while_it_wrote(void **state)
{
	char name[256], hidden[64];

	(void)state;
	dies(name);
	assert_int_equal(sweep(), 1);
	assert_int_equal(place_count(place, name), 1);
	snprintf(hidden, sizeof hidden, ".%.40s.new", name);
	close(openat(rings, hidden, O_CREAT | O_WRONLY, 0600));
	dies(name);
	assert_int_equal(sweep(), 1);
	assert_int_equal(place_count(place, NULL), 1);
	counts(2);
}

static void a_ring_stays_while_another_sweeps(void **state)
{
	const struct gcpreload_sweep_limits patient = { .wait_ms = 20 };
	int other = open(place_rings(place), O_RDONLY | O_DIRECTORY);
	char name[256];
	unsigned files;

	(void)state;
	dies(name);
	assert_int_equal(flock(other, LOCK_EX), 0);
	assert_int_equal(sweep(), 0);
	assert_int_equal(gcpreload_sweep(rings, &patient, NULL, NULL), -EWOULDBLOCK);
	assert_true(there(name));
	assert_int_equal(all_folded(&files), 0);
	close(other);
	assert_int_equal(sweep(), 1);
	counts(1);
	other = open(place_rings(place), O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0); /* it was given back */
	close(other);
}

static void files_are_bounded(void **state)
{
	char name[256], text[32];
	struct gcpreload_reader reader;
	struct gcpreload_retired retired;
	unsigned i, files;

	(void)state;
	for (i = 0; i < 70; i++) {
		snprintf(text, sizeof text, "service %u", i);
		service = text;
		dies(name);
		assert_int_equal(sweep(), 1);
	}
	for (i = 0; i < 70; i++) { /* each finds its own again */
		snprintf(text, sizeof text, "service %u", i);
		dies(name);
		assert_int_equal(sweep(), 1);
	}
	service = "shop";
	assert_int_equal(all_folded(&files), 140);
	assert_int_equal(files, GCPRELOAD_RETIRED_FILES);
	assert_int_equal(place_count(place, NULL), GCPRELOAD_RETIRED_FILES);
	assert_true(find("service 0", &reader, &retired));
	assert_int_equal(retired.folded, 2);
	gcpreload_reader_close(&reader);
	assert_true(find(GCPRELOAD_RETIRED_OTHER, &reader, &retired));
	assert_int_equal(retired.folded, 12);
	gcpreload_reader_close(&reader);
}

static void own_file(char *file)
{
	char name[256];

	dies(name);
	assert_int_equal(sweep(), 1);
	assert_int_equal(place_count(place, file), 1);
}

/* Puts something in the place of the service's file: it must stay as it is, and a new file be made
 * elsewhere. */
static void goes_elsewhere(const char *file)
{
	struct stat before, after;
	char name[256];
	unsigned files;

	assert_int_equal(fstatat(rings, file, &before, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(all_folded(&files), 0);
	dies(name);
	assert_int_equal(sweep(), 1);
	assert_int_equal(fstatat(rings, file, &after, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
	counts(1);
}

static void write_file(const char *file, const void *bytes, size_t n)
{
	int fd = openat(rings, file, O_WRONLY | O_CREAT | O_EXCL, 0400);

	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static void hostile_files(void **state)
{
	char file[256], target[128];
	char whole[GCPRELOAD_HEADER_SIZE];
	struct gcpreload_header *h = (struct gcpreload_header *)(void *)whole;
	int fd, kind;

	(void)state;
	for (kind = 0; kind < 9; kind++) {
		own_file(file);
		fd = openat(rings, file, O_RDONLY);
		assert_int_equal(read(fd, whole, sizeof whole), sizeof whole);
		close(fd);
		assert_int_equal(unlinkat(rings, file, 0), 0);
		snprintf(target, sizeof target, "%s/outside", place);
		switch (kind) {
		case 0:
			assert_int_equal(symlinkat("../outside", rings, file), 0);
			break;
		case 1:
			assert_int_equal(mkdirat(rings, file, 0700), 0);
			break;
		case 2:
			assert_int_equal(mkfifoat(rings, file, 0600), 0);
			break;
		case 3:
			write_file(file, "noise", 5);
			break;
		case 4: /* cut short */
			write_file(file, whole, sizeof whole);
			break;
		case 5:
			h->n_periods = h->n_generations = h->n_causes = 64;
			h->total_size = 0xffffffff;
			write_file(file, whole, sizeof whole);
			break;
		case 6:
			memcpy(h->magic, "GCPTOTL2", 8);
			write_file(file, whole, sizeof whole);
			break;
		case 7: /* zeros */
			write_file(file, saved, sizeof saved);
			break;
		case 8: /* all is well, but for its owner */
			h->total_size = h->slots_offset = GCPRELOAD_HEADER_SIZE;
			h->n_periods = 0;
			write_file(file, whole, geteuid() == 0 ? sizeof whole : 0);
			assert_int_equal(fchownat(rings, file, geteuid() == 0 ? 1 : -1u, -1u, 0),
					 0);
			break;
		}
		goes_elsewhere(file);
		assert_int_equal(access(target, F_OK), -1);
		place_remove(place_rings(place));
		mkdir(place_rings(place), 0700);
		close(rings);
		rings = open(place_rings(place), O_RDONLY | O_DIRECTORY);
	}
}

/* "last" is a name that somebody else chose. */
static void last_is_not_obeyed(void **state)
{
	struct gcpreload_retired retired;
	char file[256], name[256];
	int fd;

	(void)state;
	own_file(file);
	write_file("important", "x", 1);
	assert_int_equal(fchmodat(rings, file, 0600, 0), 0);
	fd = openat(rings, file, O_RDWR);
	assert_int_equal(pread(fd, &retired, sizeof retired, GCPRELOAD_RETIRED_OFFSET),
			 sizeof retired);
	memset(retired.last, 'x', sizeof retired.last);
	memcpy(retired.last, "important", 10);
	assert_int_equal(pwrite(fd, &retired, sizeof retired, GCPRELOAD_RETIRED_OFFSET),
			 sizeof retired);
	close(fd);
	dies(name);
	assert_int_equal(sweep(), 1);
	assert_true(there("important"));
	counts(2);
}

static void a_ring_of_another_user(void **state)
{
	char name[256];
	unsigned files;

	(void)state;
	if (geteuid() != 0)
		skip();
	dies(name);
	assert_int_equal(fchownat(rings, name, 1, 1, 0), 0);
	assert_int_equal(sweep(), 1); /* as ever, but not into our sums */
	assert_int_equal(all_folded(&files), 0);
}

static void a_later_version_keeps_its_causes(void **state)
{
	struct gcpreload_header *h = (struct gcpreload_header *)(void *)saved;
	struct gcpreload_retired retired;
	struct gcpreload_series series;
	struct gcpreload_reader reader;
	char name[256];

	(void)state;
	save(dies(name));
	assert_int_equal(unlinkat(rings, name, 0), 0);
	/* The same area, cut another way: one period and more causes. */
	h->n_causes *= h->n_periods;
	h->n_periods = 1;
	((struct gcpreload_series *)(void *)(saved + h->series_offset))[h->n_causes - 1] =
	    (struct gcpreload_series){ .collections = 5 };
	put_back(name);
	assert_int_equal(sweep(), 1);
	assert_true(find("shop", &reader, &retired));
	assert_int_equal(gcpreload_reader_series(&reader, 0, 0, h->n_causes - 1, &series), 0);
	assert_int_equal(series.collections, 5);
	gcpreload_reader_close(&reader);
	memset(saved, 0, sizeof saved);
}

static void below_the_limit_of_file_sizes(void **state)
{
	struct rlimit limit, small;
	char name[256];

	(void)state;
	dies(name);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 4096;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(sweep(), 0); /* and no SIGXFSZ */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(there(name));
	assert_int_equal(place_count(place, NULL), 1);
	assert_int_equal(sweep(), 1);
	counts(1);
}

/* On a tmpfs of its own, with less room than a new file needs. */
static void sweep_without_room(const char *there_)
{
	static char page[4096];
	const char *why = "";
	int dir, fd;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", there_, "tmpfs", 0, "size=320k") < 0)
		_exit(77);
	if (fork() == 0) {
		gcpreload_self_init();
		a_life(there_);
		CHECK(publish(there_, &why) == 0);
		_exit(0);
	}
	CHECK(wait(NULL) > 0);
	dir = open(place_rings(there_), O_RDONLY | O_DIRECTORY);
	fd = openat(dir, "filler", O_WRONLY | O_CREAT, 0600);
	while (write(fd, page, sizeof page) == sizeof page)
		;
	close(fd);
	CHECK(place_count(there_, NULL) == 2);
	CHECK(gcpreload_sweep(dir, &all, NULL, NULL) == 1);
	CHECK(place_count(there_, NULL) == 1); /* the filler: nothing half made either */
}

static void without_room_the_dead_go_all_the_same(void **state)
{
	int ret = in_child(sweep_without_room, place);

	(void)state;
	if (ret == 77)
		skip();
	assert_int_equal(ret, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sums_are_kept),
		TEST(the_group_may_read_it),
		TEST(it_belongs_to_the_user),
		TEST(only_what_is_told_is_not_done),
		TEST(killed_before_the_unlink),
		TEST(killed_and_another_comes_first),
		TEST(killed_and_held),
		TEST(killed_while_it_wrote),
		TEST(a_ring_stays_while_another_sweeps),
		TEST(files_are_bounded),
		TEST(hostile_files),
		TEST(last_is_not_obeyed),
		TEST(a_ring_of_another_user),
		TEST(a_later_version_keeps_its_causes),
		TEST(below_the_limit_of_file_sizes),
		TEST(without_room_the_dead_go_all_the_same),
	};

	return cmocka_run_group_tests_name("retired", tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The reader against files that are not what they should be. */
#include <errno.h>

#include "test_rings.h"

#define MUTATIONS 6000

static char place[64];
static char path[512];
static uint8_t good[GCPRELOAD_FILE_SIZE];

static void write_some(const char *there)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);
	int i;

	(void)there;
	for (i = 0; i < 20; i++)
		record((unsigned)i % 3, GCPRELOAD_CAUSE_AUTOMATIC, 100000u * (unsigned)i, 5);
	gcpreload_ring_status(&status);
	for (i = 0; i < 20; i++)
		gcpreload_ring_mark(&(struct gcpreload_mark){ .fork_ns = 1 }, (uint64_t)i);
}

static int make_good(void **state)
{
	struct writer writer;
	char name[256];
	int fd;

	(void)state;
	place_make(place);
	writer = writer_begin(write_some, place);
	writer_end(&writer);
	assert_int_equal(place_count(place, name), 1);
	snprintf(path, sizeof path, "%s/%s", place_rings(place), name);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, good, sizeof good), sizeof good);
	close(fd);
	unlink(path);
	snprintf(path, sizeof path, "%s/file", place);
	return 0;
}

static int remove_all(void **state)
{
	(void)state;
	place_remove(place);
	return 0;
}

static void put(const void *bytes, size_t size)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

/* Everything a reader can be asked for. Returns what opening said. */
static int use(const char *file, const char **why)
{
	struct gcpreload_reader reader;
	struct gcpreload_series series;
	struct gcpreload_slot slot;
	struct gcpreload_mark marks[GCPRELOAD_MARKS_KEPT];
	unsigned p, g, c, n = 0;
	int ret = gcpreload_reader_open(&reader, AT_FDCWD, file, why);

	if (ret < 0) {
		assert_non_null(*why);
		assert_true(**why);
		return ret;
	}
	for (p = 0; p < reader.header.n_periods; p++)
		for (g = 0; g < reader.header.n_generations; g++)
			for (c = 0; c < reader.header.n_causes; c++)
				gcpreload_reader_series(&reader, p, g, c, &series);
	while (n++ < 5000 && gcpreload_reader_next(&reader, &slot) == 1)
		;
	assert_in_range(gcpreload_reader_marks(&reader, marks), 0, GCPRELOAD_MARKS_KEPT);
	gcpreload_reader_alive(&reader);
	assert_true(memchr(reader.header.command, 0, sizeof reader.header.command));
	assert_true(memchr(reader.header.fired, 0, sizeof reader.header.fired));
	gcpreload_reader_refresh(&reader, why);
	gcpreload_reader_close(&reader);
	return 0;
}

static void refused(int error, const char *text)
{
	const char *why = NULL;

	assert_int_equal(use(path, &why), error);
	if (!strstr(why, text))
		fail_msg("\"%s\" does not say \"%s\"", why, text);
}

static void good_is_good(void **state)
{
	const char *why = NULL;

	(void)state;
	put(good, sizeof good);
	assert_int_equal(use(path, &why), 0);
}

static void noise(void **state)
{
	uint8_t bytes[8192];
	size_t i;

	(void)state;
	srandom(1);
	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)random();
	put(bytes, sizeof bytes);
	refused(-EINVAL, "not a ring");
	put(bytes, 3);
	refused(-EINVAL, "not a ring");
	put(bytes, 0);
	refused(-EINVAL, "not a ring");
}

static void cut_at_every_length(void **state)
{
	size_t size;

	(void)state;
	for (size = 0; size < 8; size++) {
		put(good, size);
		refused(-EINVAL, "not a ring");
	}
	for (; size < sizeof good; size += size < 4200 ? 1 : 1009) {
		put(good, size);
		refused(-ENODATA, "cut short");
	}
	put(good, sizeof good - 1);
	refused(-ENODATA, "cut short");
}

static void changed(size_t offset, const void *bytes, size_t n, int error, const char *text)
{
	uint8_t *copy = malloc(sizeof good);

	memcpy(copy, good, sizeof good);
	memcpy(copy + offset, bytes, n);
	put(copy, sizeof good);
	free(copy);
	refused(error, text);
}

#define CHANGED(field, type, value, error, text)                                                   \
	changed(offsetof(struct gcpreload_header, field), &(type){ value }, sizeof(type), error,   \
		text)

static void other_versions(void **state)
{
	(void)state;
	changed(7, "2", 1, -EPROTO, "another version");
	changed(0, "X", 1, -EINVAL, "not a ring");
	CHANGED(major, uint16_t, 2, -EPROTO, "another version");
	CHANGED(endian, uint32_t, 0x04030201, -EPROTO, "byte order");
}

static void impossible_sizes(void **state)
{
	(void)state;
	CHANGED(total_size, uint32_t, 0xffffffff, -ENODATA, "cut short");
	CHANGED(header_size, uint32_t, 0, -EINVAL, "sizes");
	CHANGED(header_size, uint32_t, 4097, -EINVAL, "sizes");
	CHANGED(header_size, uint32_t, 0xfffffff8, -EINVAL, "areas");
	CHANGED(series_offset, uint32_t, 0, -EINVAL, "areas");
	CHANGED(series_offset, uint32_t, 0xfffffff8, -EINVAL, "areas");
	CHANGED(series_size, uint32_t, 8, -EINVAL, "counts");
	CHANGED(series_size, uint32_t, 0xfffffff8, -EINVAL, "areas");
	CHANGED(n_periods, uint32_t, 0xffffffff, -EINVAL, "counts");
	CHANGED(n_causes, uint32_t, 64, -EINVAL, "areas");
	CHANGED(n_buckets, uint32_t, 0xffffffff, -EINVAL, "histogram");
	CHANGED(histogram_scale, int32_t, 40, -EINVAL, "histogram");
	CHANGED(slots_offset, uint32_t, 253952, -EINVAL, "areas");
	CHANGED(slots_offset, uint32_t, 3, -EINVAL, "areas");
	CHANGED(slot_size, uint32_t, 63, -EINVAL, "counts");
	CHANGED(slot_size, uint32_t, 65, -EINVAL, "areas");
	CHANGED(n_slots, uint32_t, 0, -EINVAL, "counts");
	CHANGED(n_slots, uint32_t, 0xffffffff, -EINVAL, "areas");
}

/* Later minor versions grow areas at their ends; we read what we know of them. */
static void larger_items_are_read(void **state)
{
	struct gcpreload_header h;
	struct gcpreload_reader reader;
	struct gcpreload_slot slot, *slots;
	const char *why = "";
	uint8_t *copy = calloc(1, 2 * sizeof good);

	(void)state;
	memcpy(&h, good, sizeof h);
	h.minor = 7;
	h.slot_size = 128;
	h.n_slots = 1024;
	h.total_size = 2 * sizeof good;
	memcpy(copy, good, sizeof good);
	memcpy(copy, &h, sizeof h);
	slots = (struct gcpreload_slot *)(void *)(good + GCPRELOAD_SLOTS_OFFSET);
	memset(copy + h.slots_offset, 0, (size_t)h.n_slots * h.slot_size);
	memcpy(copy + h.slots_offset, &slots[0], sizeof slot);
	memcpy(copy + h.slots_offset + 128, &slots[1], sizeof slot);
	put(copy, 2 * sizeof good);
	assert_int_equal(gcpreload_reader_open(&reader, AT_FDCWD, path, &why), 0);
	assert_int_equal(gcpreload_reader_next(&reader, &slot), 1);
	assert_int_equal(gcpreload_reader_next(&reader, &slot), 1);
	assert_int_equal(slot.generation, 1);
	gcpreload_reader_close(&reader);
	free(copy);
}

static void not_files(void **state)
{
	char other[600];
	const char *why = NULL;

	(void)state;
	snprintf(other, sizeof other, "%s/link", place);
	put(good, sizeof good);
	assert_int_equal(symlink(path, other), 0);
	assert_int_equal(use(other, &why), -ELOOP);
	assert_string_equal(why, "a symbolic link");
	snprintf(other, sizeof other, "%s/fifo", place);
	assert_int_equal(mkfifo(other, 0600), 0);
	assert_int_equal(use(other, &why), -EINVAL);
	assert_string_equal(why, "not a regular file");
	assert_int_equal(use(place, &why), -EINVAL);
	assert_int_equal(use("/nosuchfile", &why), -ENOENT);
}

/* A writer that died in the middle of a change leaves it odd; what is there is still shown. */
static void odd_sequence(void **state)
{
	uint8_t *copy = malloc(sizeof good);
	const char *why = NULL;

	(void)state;
	memcpy(copy, good, sizeof good);
	copy[offsetof(struct gcpreload_header, sequence)] |= 1;
	put(copy, sizeof good);
	free(copy);
	assert_int_equal(use(path, &why), 0);
}

static void cut_while_open(void **state)
{
	struct gcpreload_reader reader;
	struct gcpreload_series series;
	struct gcpreload_slot slot;
	const char *why = NULL;

	(void)state;
	put(good, sizeof good);
	assert_int_equal(gcpreload_reader_open(&reader, AT_FDCWD, path, &why), 0);
	assert_int_equal(truncate(path, 5000), 0);
	assert_int_equal(gcpreload_reader_series(&reader, 2, 2, 2, &series), -ENODATA);
	assert_int_equal(gcpreload_reader_next(&reader, &slot), -ENODATA);
	assert_int_equal(gcpreload_reader_refresh(&reader, &why), -ENODATA);
	assert_string_equal(why, "cut short");
	gcpreload_reader_close(&reader);
}

/* One to three words of the good file changed, most of them in the header. */
static void mutate(int fd, int keep_magic)
{
	static const uint64_t evil[] = { 0,	     1,		  0x7fffffff, 0x80000000,
					 0xffffffff, 0x100000000, INT64_MAX,  UINT64_MAX };
	int i, n = 1 + (int)(random() % 3);

	for (i = 0; i < n; i++) {
		size_t limit = random() % 4 ? sizeof(struct gcpreload_header) : sizeof good;
		size_t size = (size_t[]){ 1, 2, 4, 8 }[random() % 4];
		size_t offset = (size_t)random() % (limit - 8);
		uint64_t word = random() % 2 ? evil[random() % 8]
					     : (uint64_t)random() << 33 ^ (uint64_t)random();

		if (keep_magic && offset < 16)
			offset += 16;
		assert_int_equal(pwrite(fd, &word, size, (off_t)offset), (ssize_t)size);
	}
}

static void mutations(void **state)
{
	const char *why = NULL;
	int fd, i, opened = 0;

	(void)state;
	srandom(20240117);
	put(good, sizeof good);
	fd = open(path, O_RDWR);
	for (i = 0; i < MUTATIONS; i++) {
		mutate(fd, i % 8);
		if (random() % 16 == 0)
			assert_int_equal(ftruncate(fd, random() % (long)sizeof good), 0);
		opened += use(path, &why) == 0;
		assert_int_equal(pwrite(fd, good, sizeof good, 0), sizeof good);
	}
	close(fd);
	/* Else the mutations would only ever test the first check. */
	assert_true(opened > MUTATIONS / 4 && opened < MUTATIONS);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(gcpreload_cause_name(GCPRELOAD_CAUSE_AUTOMATIC), "automatic");
	assert_string_equal(gcpreload_cause_name(GCPRELOAD_CAUSES), "unknown");
	assert_string_equal(gcpreload_cause_name(99), "unknown");
	assert_string_equal(gcpreload_state_name(GCPRELOAD_STATE_STANDING_BACK), "standing-back");
	assert_string_equal(gcpreload_state_name(UINT32_MAX), "unknown");
	assert_string_equal(gcpreload_mode_name(GCPRELOAD_MODE_FREEZE), "freeze");
	assert_string_equal(gcpreload_period_name(GCPRELOAD_PERIOD_BASELINE), "baseline");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_is_good),
		cmocka_unit_test(noise),
		cmocka_unit_test(cut_at_every_length),
		cmocka_unit_test(other_versions),
		cmocka_unit_test(impossible_sizes),
		cmocka_unit_test(larger_items_are_read),
		cmocka_unit_test(not_files),
		cmocka_unit_test(odd_sequence),
		cmocka_unit_test(cut_while_open),
		cmocka_unit_test(mutations),
		cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("reader", tests, make_good, remove_all);
}

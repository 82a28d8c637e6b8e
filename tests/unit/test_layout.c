/* SPDX-License-Identifier: MIT */
/* Layout 1 is a promise: these numbers never change. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include "ring/layout.h"
#include "ring/room.h"

#define H(field, offset)                                                                           \
	{                                                                                          \
#field, offsetof(struct gcpreload_header, field), offset                           \
	}
#define MARK(field, offset)                                                                        \
	{                                                                                          \
#field, offsetof(struct gcpreload_mark, field), offset                             \
	}
#define SERIES(field, offset)                                                                      \
	{                                                                                          \
#field, offsetof(struct gcpreload_series, field), offset                           \
	}
#define SLOT(field, offset)                                                                        \
	{                                                                                          \
#field, offsetof(struct gcpreload_slot, field), offset                             \
	}

#define HIT(field, offset)                                                                         \
	{                                                                                          \
#field, offsetof(struct gcpreload_hit, field), offset                              \
	}

static const struct {
	const char *name;
	size_t offset;
	size_t golden;
} fields[] = {
	H(magic, 0),
	H(endian, 8),
	H(major, 12),
	H(minor, 14),
	H(header_size, 16),
	H(total_size, 20),
	H(series_offset, 24),
	H(series_size, 28),
	H(n_periods, 32),
	H(n_generations, 36),
	H(n_causes, 40),
	H(n_buckets, 44),
	H(histogram_scale, 48),
	H(histogram_first, 52),
	H(slots_offset, 56),
	H(slot_size, 60),
	H(n_slots, 64),
	H(head, 72),
	H(sequence, 80),
	H(inherited, 88),
	H(pid, 160),
	H(ppid, 164),
	H(uid, 168),
	H(flags, 172),
	H(pid_namespace, 176),
	H(start_time, 184),
	H(attached_ns, 192),
	H(published_ns, 200),
	H(realtime_ns, 208),
	H(state, 216),
	H(mode, 220),
	H(period_ns, 224),
	H(thresholds, 248),
	H(thresholds_before, 260),
	H(frozen_objects, 272),
	H(changed_ns, 280),
	H(log_dropped, 288),
	H(control_serial, 296),
	H(due_ns, 304),
	H(period, 312),
	H(period_since_ns, 320),
	H(period_spent_ns, 328),
	H(library, 352),
	H(python, 384),
	H(hostname, 416),
	H(command, 480),
	H(cgroup, 736),
	H(service_name, 992),
	H(service_version, 1056),
	H(service_environment, 1120),
	H(reason, 1184),
	H(trigger, 1312),
	H(fired, 1376),
	H(idle, 1440),
	H(sample, 1504),
	H(marks, 1512),
	H(marks.finished, 1520),
	H(marks.fork_ns, 1560),
	H(marks.garbage, 1592),
	H(marks.longest_ns, 1648),
	H(marks.live, 1656),
	H(marks.pending, 1664),
	H(load, 1672),
	H(load.as_of_ns, 1672),
	H(load.cpu_ns, 1680),
	H(load.accepted, 1704),
	H(load.warm, 1728),
	H(load.warm[1].spent_ms, 1760),
	H(load.warm[1].collections, 1764),
	H(load.warm[1].in_request_ns, 1768),
	H(load.warm[1].cpu_ns, 1776),
	H(load.warm[1].accepted, 1784),
	H(hits, 1792),
	HIT(seq, 0),
	HIT(event, 8),
	HIT(start_ns, 16),
	HIT(duration_ns, 24),
	HIT(span, 32),
	HIT(span.span_id, 48),
	HIT(generation, 56),
	HIT(cause, 57),
	HIT(period, 58),
	HIT(sampled, 59),
	HIT(thread, 60),
	H(service.from, 1808),
	MARK(seq, 0),
	MARK(start_ns, 8),
	MARK(fork_ns, 16),
	MARK(mark_ns, 24),
	MARK(cpu_ns, 32),
	MARK(live, 40),
	MARK(garbage, 48),
	MARK(swept, 56),
	MARK(skipped, 64),
	MARK(faults, 72),
	MARK(resident_before, 80),
	MARK(resident_after, 88),
	MARK(why, 96),
	MARK(how, 100),
	SERIES(collections, 0),
	SERIES(collected, 8),
	SERIES(uncollectable, 16),
	SERIES(sum_ns, 24),
	SERIES(max_ns, 32),
	SERIES(below, 40),
	SERIES(above, 48),
	SERIES(buckets, 64),
	SLOT(seq, 0),
	SLOT(start_ns, 8),
	SLOT(duration_ns, 16),
	SLOT(collected, 24),
	SLOT(uncollectable, 32),
	SLOT(thread, 40),
	SLOT(generation, 44),
	SLOT(cause, 45),
	SLOT(period, 46),
	SLOT(flags, 47),
};

static void offsets(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (fields[i].offset != fields[i].golden)
			fail_msg("%s is at %zu, and was promised at %zu", fields[i].name,
				 fields[i].offset, fields[i].golden);
}

static void sizes(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct gcpreload_header), 1816);
	assert_int_equal(sizeof(struct gcpreload_series), 1600);
	assert_int_equal(sizeof(struct gcpreload_slot), 64);
	assert_int_equal(sizeof(struct gcpreload_totals), 24);
	assert_int_equal(sizeof(struct gcpreload_mark), 128);
	assert_int_equal(GCPRELOAD_MARKS_OFFSET, 2048);
	assert_int_equal(GCPRELOAD_MARKS_KEPT, 16);
	assert_int_equal(GCPRELOAD_HEADER_SIZE, 4096);
	assert_int_equal(GCPRELOAD_SERIES_OFFSET, 4096);
	assert_int_equal(sizeof(struct gcpreload_hit), 64);
	assert_int_equal(GCPRELOAD_HITS_OFFSET, 119296);
	assert_int_equal(GCPRELOAD_HITS_KEPT, 48);
	assert_int_equal(GCPRELOAD_SLOTS_OFFSET, 122368);
	assert_int_equal(GCPRELOAD_FILE_SIZE, 253952);
	assert_int_equal(GCPRELOAD_FILE_SLOTS, 2048);
}

/* Rings until there is no room, in a file system of so many bytes. */
static unsigned fill(uint64_t whole, uint64_t free, uint64_t *left)
{
	struct ring_room room = { whole, free };
	unsigned n = 0;
	uint32_t slots;

	for (; n < 100000 && (slots = ring_room_slots(&room, UINT32_MAX)); n++) {
		assert_int_equal(slots & (slots - 1), 0);
		room.free -= ring_room_size(slots);
	}
	*left = room.free;
	return n;
}

static void room(void **state)
{
	const uint64_t docker = 64 << 20;
	struct ring_room none = { 0, 0 };
	uint64_t left;

	(void)state;
	assert_true(fill(docker, docker, &left) >= 300);
	assert_true(left >= docker / 4);
	assert_int_equal(fill(docker, docker / 4, &left), 0);
	assert_int_equal(fill(docker, docker / 3, &left), 44);
	assert_int_equal(ring_room_size(GCPRELOAD_FILE_SLOTS), GCPRELOAD_FILE_SIZE);
	assert_int_equal(ring_room_slots(&none, UINT32_MAX), GCPRELOAD_FILE_SLOTS);
	assert_int_equal(ring_room_slots(&none, GCPRELOAD_FILE_SLOTS), GCPRELOAD_FILE_SLOTS / 4);
	assert_int_equal(ring_room_slots(&none, 1), 0);
}

static void numbers(void **state)
{
	(void)state;
	assert_string_equal(GCPRELOAD_RING_MAGIC, "GCPRING1");
	assert_int_equal(GCPRELOAD_PERIOD_TUNED, 2);
	assert_int_equal(GCPRELOAD_CAUSE_AUTOMATIC, 0);
	assert_int_equal(GCPRELOAD_CAUSE_EXPLICIT, 1);
	assert_int_equal(GCPRELOAD_CAUSE_READY, 2);
	assert_int_equal(GCPRELOAD_CAUSE_PREFORK, 3);
	assert_int_equal(GCPRELOAD_CAUSE_IDLE, 4);
	assert_int_equal(GCPRELOAD_CAUSE_GUARD, 5);
	assert_int_equal(GCPRELOAD_CAUSE_FINAL, 6);
	assert_int_equal(GCPRELOAD_STATE_STARTING, 0);
	assert_int_equal(GCPRELOAD_STATE_PARENT, 1);
	assert_int_equal(GCPRELOAD_STATE_BASELINE, 2);
	assert_int_equal(GCPRELOAD_STATE_OBSERVING, 3);
	assert_int_equal(GCPRELOAD_STATE_READY, 4);
	assert_int_equal(GCPRELOAD_STATE_STANDING_BACK, 5);
	assert_int_equal(GCPRELOAD_STATE_OFF, 6);
	assert_int_equal(GCPRELOAD_MODE_FREEZE, 2);
	assert_int_equal(GCPRELOAD_MODE_CONCURRENT, 4);
	assert_int_equal(GCPRELOAD_MARK_WHY_ASKED, 3);
	assert_int_equal(GCPRELOAD_MARK_HOW_DISCARDED, 4);
	assert_int_equal(GCPRELOAD_BUCKETS, 192);
	assert_int_equal(GCPRELOAD_HISTOGRAM_SCALE, 3);
	assert_int_equal(GCPRELOAD_HISTOGRAM_FIRST, -160);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets),
		cmocka_unit_test(sizes),
		cmocka_unit_test(room),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}

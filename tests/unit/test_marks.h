/* SPDX-License-Identifier: MIT */
/* Marks for tests. */
#ifndef GCPRELOAD_TESTS_UNIT_TEST_MARKS_H
#define GCPRELOAD_TESTS_UNIT_TEST_MARKS_H

#include "test_cli_run.h"

#define MS   1000000ull
#define KEPT GCPRELOAD_MARKS_KEPT

static inline struct gcpreload_mark mark_of(uint64_t number, uint32_t how)
{
	struct gcpreload_mark mark = { .seq = 77, /* not looked at */
				       .start_ns = gcpreload_now_ns(),
				       .fork_ns = 8 * MS,
				       .mark_ns = 1500 * MS,
				       .cpu_ns = 1200 * MS,
				       .live = 500000,
				       .garbage = 1000 + number,
				       .swept = 990,
				       .skipped = 10,
				       .faults = 321,
				       .resident_before = 1 << 20,
				       .resident_after = 1 << 19,
				       .why = GCPRELOAD_MARK_WHY_GARBAGE,
				       .how = how };

	return mark;
}

static inline void write_marks(uint64_t from, uint64_t to)
{
	uint64_t i;

	for (i = from; i < to; i++) {
		struct gcpreload_mark mark = mark_of(i, GCPRELOAD_MARK_HOW_DONE);

		gcpreload_ring_mark(&mark, i);
	}
}

static inline struct gcpreload_status marked_status(uint64_t begun)
{
	struct gcpreload_status status = status_of(GCPRELOAD_STATE_READY, GCPRELOAD_PERIOD_TUNED);
	const struct gcpreload_marks marks = {
		.begun = begun,
		.finished = 2,
		.failed = 1,
		.discarded = 3,
		.refused_memory = 4,
		.refused_family = 5,
		.fork_ns = 20 * MS,
		.fork_max_ns = 8 * MS,
		.mark_ns = 3000 * MS,
		.cpu_ns = 2500 * MS,
		.garbage = 2000,
		.swept = 1900,
		.skipped = 60,
		.oversize = 6,
		.slices = 7,
		.promotions = 9,
		.faults = 10,
		.longest_ns = 900 * MS,
		.live = 500000,
		.pending = 40,
	};

	status.mode = GCPRELOAD_MODE_CONCURRENT;
	status.marks = marks;
	return status;
}

static inline void a_marked_life(const char *unused)
{
	struct gcpreload_status status = marked_status(6);

	(void)unused;
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, MS, 1);
	gcpreload_ring_status(&status);
	record(0, GCPRELOAD_CAUSE_AUTOMATIC, MS, 1);
	write_marks(0, 6);
}

#endif

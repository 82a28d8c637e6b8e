/* SPDX-License-Identifier: MIT */
/* Whether programs have settled, each with a clock and a heap of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/settled.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define MB     (1ull << 20)
#define NEVER  0

struct program {
	struct settled settled;
	uint64_t now; /* it began at 100 s */
	uint64_t resident;
	int64_t modules;
	unsigned ready; /* second of its life in which it was, or NEVER */
};

static void begin(struct program *p)
{
	*p = (struct program){ .now = 100 * SECOND, .resident = 20 * MB, .modules = 60 };
}

/* A collection, and all that comes with it. */
static void collects(struct program *p)
{
	if (settled_is_due(&p->settled, p->now) &&
	    settled_look(&p->settled, p->now, p->resident, p->modules) && p->ready == NEVER)
		p->ready = (unsigned)(p->now / SECOND - 100);
}

/* For so long it collects twenty times a second, and grows and imports by the second. */
static void works(struct program *p, unsigned seconds, int64_t grows_kb, unsigned imports)
{
	unsigned i;

	for (i = 0; i < seconds * 20; i++) {
		p->now += 50 * MS;
		if (i % 20 == 0) {
			p->resident += (uint64_t)(grows_kb * 1024);
			p->modules += imports;
		}
		collects(p);
	}
}

/* A full collection that found so many. */
static void full(struct program *p, uint64_t collected, uint64_t took_ns)
{
	settled_full(&p->settled, p->now, collected, took_ns);
}

static void assert_ready_between(const struct program *p, unsigned from, unsigned to)
{
	assert_in_range(p->ready, from, to);
}

/* It need not make a full collection at all: without growth, the interpreter makes none. */
static void consumer(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	works(&p, 4, 10240, 100);
	works(&p, 60, 0, 0);
	assert_ready_between(&p, 33, 40);
}

static void consumer_with_full_collections(void **state)
{
	struct program p;
	int i;

	(void)state;
	begin(&p);
	works(&p, 4, 10240, 100);
	full(&p, 60000, 30 * MS); /* of the start */
	for (i = 0; i < 8; i++) {
		works(&p, 8, 0, 0);
		full(&p, 3000, 40 * MS);
	}
	assert_ready_between(&p, 33, 45);
}

/* Twelve collections a minute. */
static void consumer_with_little_to_do(void **state)
{
	struct program p;
	int i;

	(void)state;
	begin(&p);
	works(&p, 3, 10240, 100);
	for (i = 0; i < 30; i++) {
		p.now += 5 * SECOND;
		collects(&p);
	}
	assert_ready_between(&p, 45, 70);
}

/* It imports the code of its jobs with the first of them, and their buffers come and go. */
static void worker(void **state)
{
	struct program p;
	int i;

	(void)state;
	begin(&p);
	works(&p, 3, 10240, 100);
	p.now += 600 * SECOND;
	works(&p, 5, 2048, 20);
	for (i = 0; i < 40; i++) {
		works(&p, 1, 8192, 0);
		works(&p, 1, -8192, 0);
	}
	assert_ready_between(&p, 635, 655);
}

/* Of a gigabyte, some megabytes more are noise. */
static void large_process(void **state)
{
	struct program p;
	int i;

	(void)state;
	begin(&p);
	p.resident = 1000 * MB;
	for (i = 0; i < 20; i++)
		works(&p, 2, 1024, 0);
	assert_ready_between(&p, 30, 35);
}

/* A server's start of two minutes is followed by as much quiet. */
static void slow_start(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	works(&p, 120, 20480, 5);
	works(&p, 300, 0, 0);
	assert_ready_between(&p, 238, 245);
}

/* A cache that fills: whatever came before, five minutes are enough. */
static void cache(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	works(&p, 3600, 1024, 0);
	p.ready = NEVER;
	works(&p, 600, 0, 0);
	assert_ready_between(&p, 3600 + 150, 3600 + 310);
}

static void short_script(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	works(&p, 29, 0, 0);
	assert_int_equal(p.ready, NEVER);
}

/* It waits for something, with nothing to collect, and works on. */
static void script_that_waits(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	works(&p, 2, 5120, 50);
	p.now += 3600 * SECOND;
	works(&p, 5, 0, 0);
	assert_int_equal(p.ready, NEVER);
}

static void pip(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	works(&p, 3, 8192, 200);
	works(&p, 12, 2048, 3);
	works(&p, 25, 0, 0);
	assert_int_equal(p.ready, NEVER);
}

static void migration(void **state)
{
	struct program p;
	int i;

	(void)state;
	begin(&p);
	works(&p, 5, 10240, 150);
	for (i = 0; i < 20; i++) {
		works(&p, 5, 256, 0);
		full(&p, 20000, 15 * MS); /* models that each step makes anew */
	}
	assert_int_equal(p.ready, NEVER);
}

static void test_run(void **state)
{
	struct program p;
	int i;

	(void)state;
	begin(&p);
	works(&p, 2, 10240, 200);
	for (i = 0; i < 60; i++) {
		works(&p, 1, 512, 3);
		works(&p, 9, 0, 0);
	}
	assert_int_equal(p.ready, NEVER);
}

/* Ten minutes, in which it gets three times as large. */
static void batch_that_grows(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	works(&p, 3, 10240, 100);
	works(&p, 600, 200, 0);
	assert_int_equal(p.ready, NEVER);
}

/* Loads, works, drops: each part is quiet, the whole is not. */
static void batch_that_cycles(void **state)
{
	struct program p;
	int i;

	(void)state;
	begin(&p);
	works(&p, 3, 10240, 100);
	for (i = 0; i < 10; i++) {
		works(&p, 35, 4096, 0);
		works(&p, 25, 0, 0);
		p.resident -= 35 * 4 * MB;
		p.now += SECOND;
		collects(&p);
	}
	assert_int_equal(p.ready, NEVER);
}

/* Its full collections free 80 000 of 180 000 objects. */
static void garbage_that_gets_old(void **state)
{
	struct program p;
	int i;

	(void)state;
	begin(&p);
	for (i = 0; i < 30; i++) {
		works(&p, 20, 0, 0);
		full(&p, 80000, 120 * MS);
	}
	assert_int_equal(p.ready, NEVER);
	for (i = 0; i < 30; i++) {
		works(&p, 20, 0, 0);
		full(&p, 900, MS / 10); /* of next to nothing */
	}
	assert_ready_between(&p, 895, 910);
}

/* What cannot be asked says nothing. */
static void unknown(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	p.resident = 0;
	works(&p, 100, 0, 0);
	assert_int_equal(p.ready, NEVER);
	begin(&p);
	p.modules = -1;
	works(&p, 100, 0, 0);
	assert_int_equal(p.ready, NEVER);
}

static void clock_that_steps_back(void **state)
{
	struct program p;

	(void)state;
	begin(&p);
	works(&p, 20, 0, 0);
	p.now -= 50 * SECOND;
	works(&p, 8, 0, 0);
	assert_int_equal(p.ready, NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(consumer),
		cmocka_unit_test(consumer_with_full_collections),
		cmocka_unit_test(consumer_with_little_to_do),
		cmocka_unit_test(worker),
		cmocka_unit_test(large_process),
		cmocka_unit_test(slow_start),
		cmocka_unit_test(cache),
		cmocka_unit_test(short_script),
		cmocka_unit_test(script_that_waits),
		cmocka_unit_test(pip),
		cmocka_unit_test(migration),
		cmocka_unit_test(test_run),
		cmocka_unit_test(batch_that_grows),
		cmocka_unit_test(batch_that_cycles),
		cmocka_unit_test(garbage_that_gets_old),
		cmocka_unit_test(unknown),
		cmocka_unit_test(clock_that_steps_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

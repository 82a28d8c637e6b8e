/* SPDX-License-Identifier: MIT */
/* The marker's process, with objects of the test's own: what comes of it, and how it ends. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/shared.h"
#include "engine/marker.h"

#define SECOND	   1000000000ull
#define DEADLINE   (60 * SECOND)
#define LONGEST	   (121 * SECOND)
#define MANY	   20000
#define REFERENCES 2

/* ---- the interpreter's side ---- */

typedef int (*visit_function)(void *object, void *arg);

struct thing {
	struct graph_head head;
	int64_t count;
	const void *type;
	struct thing *to[REFERENCES];
};

/* A type: what the marker knows of it. */
struct type {
	char bytes[256];
};

/* The child's traverses tell and ask here. */
static struct {
	uint32_t go;
	uint32_t begun;
	int descriptor;
	uint64_t traversed;
} * shared;

static struct type plain, slow, crashes, calls;
static struct thing things[MANY];
static struct graph_head list;
static struct layout layout;

static int traverse(void *object, visit_function visit, void *arg)
{
	struct thing *thing = (struct thing *)((char *)object - sizeof(struct graph_head));
	int i;

	shared->traversed++;
	for (i = 0; i < REFERENCES; i++)
		if (thing->to[i])
			visit(&thing->to[i]->count, arg);
	return 0;
}

/* Until it is told to go on: nothing that it asks. */
static int traverse_slowly(void *object, visit_function visit, void *arg)
{
	store_release(&shared->begun, 1);
	while (!load_acquire(&shared->go))
		;
	return traverse(object, visit, arg);
}

static int traverse_crashes(void *object, visit_function visit, void *arg)
{
	(void)object, (void)visit, (void)arg;
	__builtin_trap();
}

/* What extension modules must not do, and some do. */
static int traverse_calls(void *object, visit_function visit, void *arg)
{
	syscall(SYS_close, shared->descriptor);
	return traverse(object, visit, arg);
}

static void type_begin(struct type *type, int (*function)(void *, visit_function, void *))
{
	memset(type, 0, sizeof *type);
	memcpy(type->bytes + GRAPH_TYPE_TRAVERSE, &function, sizeof function);
}

static void append(struct thing *thing, int64_t count, struct thing *to)
{
	struct graph_head *last = (struct graph_head *)list.prev;

	*thing = (struct thing){ { (uintptr_t)&list, (uintptr_t)last }, count, &plain, { to } };
	last->next = (uintptr_t)&thing->head;
	list.prev = (uintptr_t)&thing->head;
}

static int setup(void **state)
{
	(void)state;
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	type_begin(&plain, traverse);
	type_begin(&slow, traverse_slowly);
	type_begin(&crashes, traverse_crashes);
	type_begin(&calls, traverse_calls);
	list = (struct graph_head){ (uintptr_t)&list, (uintptr_t)&list };
	layout = (struct layout){ .permanent = &list };
	/* 0 is in use, and refers to 1; 2, 3 and 4 to each other, 5 to itself. */
	append(&things[0], 1, &things[1]);
	append(&things[1], 1, NULL);
	append(&things[2], 1, &things[3]);
	append(&things[3], 1, &things[4]);
	append(&things[4], 1, &things[2]);
	append(&things[5], 1, &things[5]);
	return 0;
}

static bool is_gone_in_time(void)
{
	uint64_t from = gcpreload_now_ns();

	while (!marker_gone())
		if (gcpreload_elapsed(from, gcpreload_now_ns()) > DEADLINE)
			return false;
	return true;
}

static int teardown(void **state)
{
	(void)state;
	marker_end(true);
	assert_true(is_gone_in_time());
	return munmap(shared, 4096);
}

static enum marker_is await(void)
{
	uint64_t from = gcpreload_now_ns();
	enum marker_is is;

	while ((is = marker_look(gcpreload_now_ns())) == MARKER_RUNS)
		if (gcpreload_elapsed(from, gcpreload_now_ns()) > DEADLINE)
			break;
	return is;
}

static void begin(void)
{
	assert_int_equal(marker_begin(&layout, 10 << 20), 0);
}

/* One that is in the middle of the first object. */
static void begin_slowly(void)
{
	things[0].type = &slow;
	begin();
	while (!load_acquire(&shared->begun))
		;
}

/* ---- what comes of it ---- */

static void finds_garbage(void **state)
{
	const struct graph_garbage *found;
	uintptr_t sum = 0;
	uint64_t i, n;

	(void)state;
	assert_int_equal(marker_look(gcpreload_now_ns()), MARKER_NONE);
	assert_true(marker_gone());
	begin();
	assert_int_equal(await(), MARKER_DONE);
	assert_int_equal(await(), MARKER_DONE);
	found = marker_result();
	assert_int_equal(found->live, 2);
	assert_int_equal(found->garbage, 4);
	assert_int_equal(found->components, 2);
	assert_int_equal(found->used, 6);
	n = found->words[0];
	assert_true(n == 1 || n == 3);
	assert_int_equal(found->words[n + 1], 4 - n);
	for (i = 0; i < 6; i++)
		if (i != 0 && i != n + 1)
			sum += found->words[i];
	assert_int_equal(sum, (uintptr_t)&things[2].count + (uintptr_t)&things[3].count +
				  (uintptr_t)&things[4].count + (uintptr_t)&things[5].count);
	assert_true(marker_cpu_ns() > 0 && marker_took_ns() > 0);
	assert_true(marker_took_ns() < DEADLINE);
	/* It is a copy: nothing of ours was written to. */
	assert_int_equal(things[0].count, 1);
	marker_end(false);
	assert_int_equal(marker_look(gcpreload_now_ns()), MARKER_NONE);
	assert_int_equal(marker_cpu_ns(), 0);
}

/* It sees the moment at which it began. */
static void sees_a_moment(void **state)
{
	(void)state;
	begin_slowly();
	things[0].to[0] = NULL;
	things[5].count = 2;
	store_release(&shared->go, 1);
	assert_int_equal(await(), MARKER_DONE);
	assert_int_equal(marker_result()->garbage, 4);
}

static void one_after_the_other(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		begin();
		assert_int_equal(marker_begin(&layout, 1 << 20), -EBUSY);
		assert_int_equal(await(), MARKER_DONE);
		assert_int_equal(marker_begin(&layout, 1 << 20), -EBUSY);
		marker_end(false);
		assert_true(is_gone_in_time());
	}
}

/* ---- when it goes wrong ---- */

static void crashes_alone(void **state)
{
	(void)state;
	things[1].type = &crashes;
	begin();
	assert_int_equal(await(), MARKER_FAILED);
	assert_string_equal(marker_why(), "it was killed, or crashed");
	marker_end(false);
	/* And the next one is as if nothing had been. */
	things[1].type = &plain;
	begin();
	assert_int_equal(await(), MARKER_DONE);
}

static void may_not_call_the_system(void **state)
{
	(void)state;
	things[1].type = &calls;
	shared->descriptor = dup(STDERR_FILENO);
	begin();
	assert_int_equal(await(), MARKER_FAILED);
	assert_string_equal(marker_why(), "it was killed, or crashed");
	assert_int_equal(close(shared->descriptor), 0);
}

static void takes_too_long(void **state)
{
	(void)state;
	begin_slowly();
	assert_int_equal(marker_look(gcpreload_now_ns()), MARKER_RUNS);
	assert_int_equal(marker_look(gcpreload_now_ns() + LONGEST), MARKER_FAILED);
	assert_string_equal(marker_why(), "it hangs");
	marker_end(false); /* does not wait for it, but kills it */
	assert_true(is_gone_in_time());
}

static void stops_when_told(void **state)
{
	(void)state;
	begin_slowly();
	marker_stop();
	store_release(&shared->go, 1);
	assert_int_equal(await(), MARKER_FAILED);
	assert_string_equal(marker_why(), "stopped");
}

static void is_gone_at_exit(void **state)
{
	(void)state;
	begin_slowly(); /* and does not listen */
	marker_end(true);
	assert_true(marker_gone());
	store_release(&shared->begun, 0);
	things[0].type = &plain;
	begin();
	marker_end(true);
	assert_true(marker_gone());
}

/* ---- beside the program ---- */

static void waits_when_told(void **state)
{
	const struct timespec moment = { 0, 200000000 };
	uint64_t traversed;
	unsigned i;

	(void)state;
	for (i = 6; i < MANY; i++)
		append(&things[i], 1, NULL);
	begin_slowly();
	marker_pause(true);
	store_release(&shared->go, 1);
	do {
		traversed = *(volatile uint64_t *)&shared->traversed;
		nanosleep(&moment, NULL);
	} while (traversed != *(volatile uint64_t *)&shared->traversed);
	assert_int_equal(marker_look(gcpreload_now_ns()), MARKER_RUNS);
	assert_true(traversed < MANY);
	marker_pause(false);
	assert_int_equal(await(), MARKER_DONE);
	assert_true(shared->traversed > MANY);
}

static bool is_hung_up(int descriptor, int wait_ms)
{
	struct pollfd end = { descriptor, POLLIN, 0 };

	return poll(&end, 1, wait_ms) == 1 && end.revents & POLLHUP;
}

/* What is closed is closed: the other end sees it at once. */
static void descriptors_are_shared(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	begin_slowly();
	close(ends[1]);
	assert_true(is_hung_up(ends[0], 0));
	close(ends[0]);
	assert_int_equal(marker_look(gcpreload_now_ns()), MARKER_RUNS);
}

static volatile sig_atomic_t children;

static void count_children(int number)
{
	(void)number;
	children++;
}

static void nobody_else_sees_it(void **state)
{
	int status;

	(void)state;
	signal(SIGCHLD, count_children);
	begin_slowly();
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	store_release(&shared->go, 1);
	assert_int_equal(await(), MARKER_DONE);
	marker_end(true);
	assert_int_equal(waitpid(-1, &status, 0), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(children, 0);
	signal(SIGCHLD, SIG_DFL);
}

/* ---- forks ---- */

static int in_a_child(int (*function)(void))
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(function());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int has_none(void)
{
	marker_forget();
	if (marker_look(gcpreload_now_ns()) != MARKER_NONE || !marker_gone())
		return 1;
	things[0].type = &plain;
	if (marker_begin(&layout, 1 << 20) || await() != MARKER_DONE)
		return 2;
	marker_end(true);
	return 0;
}

static void a_forked_child_has_its_own(void **state)
{
	(void)state;
	begin_slowly();
	assert_int_equal(in_a_child(has_none), 0);
	store_release(&shared->go, 1);
	assert_int_equal(await(), MARKER_DONE);
	assert_int_equal(in_a_child(has_none), 0);
	assert_int_equal(marker_result()->garbage, 4);
}

static int leaves_one_behind(void)
{
	begin_slowly();
	return 0;
}

/* Its descriptors are closed when the last of the two is gone. */
static void does_not_outlive_the_program(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(in_a_child(leaves_one_behind), 0);
	close(ends[1]);
	assert_false(is_hung_up(ends[0], 0)); /* it is in a traverse */
	store_release(&shared->go, 1);
	assert_true(is_hung_up(ends[0], (int)(DEADLINE / 1000000)));
	close(ends[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(finds_garbage),
		TEST(sees_a_moment),
		TEST(one_after_the_other),
		TEST(crashes_alone),
		TEST(may_not_call_the_system),
		TEST(takes_too_long),
		TEST(stops_when_told),
		TEST(is_gone_at_exit),
		TEST(waits_when_told),
		TEST(descriptors_are_shared),
		TEST(nobody_else_sees_it),
		TEST(a_forked_child_has_its_own),
		TEST(does_not_outlive_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

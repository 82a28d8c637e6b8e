/* SPDX-License-Identifier: MIT */
/* engine/graph on large and on random heaps, stopped, without memory, and where calls are
 * forbidden. */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "test_heap.h"

#define ASK_EACH 4096 /* of engine/graph.c */

struct patience {
	int left, asked;
};

static bool lose_patience(void *arg)
{
	struct patience *patience = arg;

	patience->asked++;
	return patience->left-- <= 0;
}

/* Asked often enough in each of the walks, and obeyed in each. */
static void stopped(void **state)
{
	enum { COUNT = 5 * ASK_EACH };
	struct patience patience;
	struct heap heap;
	int result, left = 0;

	(void)state;
	heap_make(&heap, COUNT, COUNT, true);
	cycle(&heap, 0, COUNT / 2);
	cycle(&heap, COUNT / 2, COUNT - COUNT / 2);
	heap.objects[COUNT - 1].count++;
	heap.found.words = malloc((COUNT + 1) * 8);
	heap.found.capacity = COUNT + 1;
	do {
		patience = (struct patience){ .left = left++ };
		result = graph_find_garbage(&wide, &heap.list, NULL, &heap.found, lose_patience,
					    &patience);
		assert_int_equal(result, patience.left < 0 ? -ECANCELED : 0);
		assert_int_equal(patience.asked, result ? left : left - 1);
	} while (result);
	/* Half a step an object in the list. */
	assert_in_range(patience.asked, 22, 23);
	assert_int_equal(heap.found.live, COUNT / 2);
	heap_free(&heap);
}

static uint64_t seed;

static size_t draw(size_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (size_t)(seed >> 33) % below;
}

static void shuffle(size_t *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		numbers[i] = i;
	for (size_t i = count - 1; i; i--) {
		size_t other = draw(i + 1), number = numbers[i];

		numbers[i] = numbers[other];
		numbers[other] = number;
	}
}

/* In the order of memory, against it, and in none. */
static void deep_chains(void **state)
{
	enum { COUNT = 200 * 1000 };
	size_t *order = malloc(COUNT * sizeof(*order));

	(void)state;
	assert_non_null(order);
	for (int way = 0; way < 3; way++) {
		struct heap heap;

		seed = 1;
		shuffle(order, COUNT);
		for (size_t i = 0; i < COUNT && way < 2; i++)
			order[i] = way ? COUNT - 1 - i : i;
		heap_make(&heap, COUNT, COUNT, true);
		for (size_t i = 1; i < COUNT; i++)
			refers(&heap, order[i - 1], order[i]);
		finds(&heap, COUNT, 0, 0); /* the first has no references */
		refers(&heap, order[COUNT - 1], order[0]);
		finds(&heap, 0, COUNT, 1);
		assert_int_equal(traversed, 2 * COUNT);
		heap.objects[order[COUNT / 2]].count++;
		finds(&heap, COUNT, 0, 0);
		assert_int_equal(traversed, 2 * COUNT);
		heap_free(&heap);
	}
	free(order);
}

/* One that refers to all, and to which all refer: as much on the stack as there is. */
static void one_of_many(void **state)
{
	enum { COUNT = 50 * 1000 };
	struct heap heap;

	(void)state;
	heap_make(&heap, COUNT, 2 * COUNT, true);
	for (size_t i = 0; i < COUNT; i++) {
		refers(&heap, COUNT - 1, i);
		refers(&heap, i, COUNT - 1);
	}
	finds(&heap, 0, COUNT, 1);
	heap.objects[COUNT - 1].count++;
	finds(&heap, COUNT, 0, 0);
	heap_free(&heap);
}

/* The same in the plainest way: what is reached, and a label for each component. */
struct plainly {
	bool listed[256], live[256];
	size_t label[256];
};

static size_t number_of(const struct heap *heap, const void *object)
{
	return (size_t)((const struct fake *)((const char *)object - 16) - heap->objects);
}

static void reckon(const struct heap *heap, size_t count, struct plainly *is)
{
	int64_t outside[256];
	bool again = true;

	for (size_t i = 0; i < count; i++) {
		is->label[i] = i;
		outside[i] = (int32_t)heap->objects[i].count;
	}
	for (size_t i = 0; i < count; i++)
		for (struct reference *at = heap->objects[i].first; at; at = at->next)
			outside[number_of(heap, at->to)] -= is->listed[i];
	for (size_t i = 0; i < count; i++)
		is->live[i] = is->listed[i] && (outside[i] > 0 || heap->objects[i].count >> 31);
	while (again) {
		again = false;
		for (size_t i = 0; i < count; i++)
			for (struct reference *at = heap->objects[i].first; at; at = at->next) {
				size_t to = number_of(heap, at->to);

				if (is->listed[to] && is->live[i] && !is->live[to])
					again = is->live[to] = true;
			}
	}
	for (again = true; again;) {
		again = false;
		for (size_t i = 0; i < count; i++)
			for (struct reference *at = heap->objects[i].first; at; at = at->next) {
				size_t to = number_of(heap, at->to);

				if (!is->listed[i] || !is->listed[to] || is->live[i] ||
				    is->live[to] || is->label[i] == is->label[to])
					continue;
				again = true;
				is->label[i] = is->label[to] =
				    is->label[i] < is->label[to] ? is->label[i] : is->label[to];
			}
	}
}

/* Each component of the result is one of theirs, all of it, and there is none besides. */
static void compare(struct heap *heap, size_t count, const struct plainly *is)
{
	size_t garbage = 0, live = 0;
	uint64_t at = 0;

	for (uint64_t i = 0; i < heap->found.components; i++) {
		uint64_t size = heap->found.words[at++], all = 0;
		size_t label = number_of(heap, (void *)(heap->found.words[at] & ~(uintptr_t)15));

		label = is->label[label];
		for (size_t j = 0; j < count; j++)
			all += is->listed[j] && !is->live[j] && is->label[j] == label;
		assert_int_equal(size, all);
		garbage += all;
		for (uint64_t last = 0; size; size--, at++) {
			uintptr_t word = heap->found.words[at];
			size_t j = number_of(heap, (void *)(word & ~GRAPH_PREHEADER));

			assert_true(word > last); /* no object twice */
			last = word;
			assert_true(is->listed[j] && !is->live[j] && is->label[j] == label);
			assert_int_equal(word & GRAPH_PREHEADER,
					 heap->objects[j].type == (void *)&early);
		}
	}
	assert_int_equal(at, heap->found.used);
	for (size_t j = 0; j < count; j++)
		live += is->live[j];
	assert_int_equal(heap->found.live, live);
	assert_int_equal(heap->found.garbage, garbage);
}

static void random_graph(size_t *components, size_t *mixed)
{
	size_t count = 1 + draw(255), references = draw(count), order[256];
	struct plainly is = { 0 };
	struct heap heap;

	heap_make(&heap, count, count + references, false);
	shuffle(order, count);
	for (size_t i = 0; i < count; i++) {
		if (!draw(count / 3 + 1))
			heap.objects[i].count = draw(2) ? 1 : INT64_C(0xc0000000);
		if (!draw(3))
			heap.objects[i].type = &early;
		/* Not far, or all would be one component. */
		refers(&heap, i - draw(i < 4 ? i + 1 : 4), i);
	}
	while (references--)
		refers(&heap, draw(count), draw(count));
	for (size_t i = 0; i < count; i++) {
		is.listed[order[i]] = draw(count);
		if (is.listed[order[i]])
			append(&heap, &heap.objects[order[i]].head);
	}
	reckon(&heap, count, &is);
	find_within(&heap, &narrow, 2 * count);
	compare(&heap, count, &is);
	*components += heap.found.components;
	*mixed += heap.found.garbage && heap.found.live;
	heap_free(&heap);
}

static void random_graphs(void **state)
{
	size_t components = 0, mixed = 0;

	(void)state;
	for (seed = 0; seed < 2000;) {
		uint64_t next = seed + 1;

		random_graph(&components, &mixed);
		seed = next;
	}
	/* The test tests something. */
	assert_true(components > 10000);
	assert_true(mixed > 1000);
}

static int status_of_child(void (*child)(struct heap *), struct heap *heap)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		child(heap);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void without_memory(struct heap *heap)
{
	struct rlimit none = { 1 << 20, 1 << 20 };

	setrlimit(RLIMIT_AS, &none);
	_exit(graph_find_garbage(&narrow, &heap->list, NULL, &heap->found, NULL, NULL) == -ENOMEM);
}

/* Any other call ends the process. */
static void with_three_calls(struct heap *heap)
{
	struct sock_filter only[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(only) / sizeof(*only), only };
	int result;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(2);
	result = graph_find_garbage(&narrow, &heap->list, NULL, &heap->found, NULL, NULL);
	/* Not _exit, before which a sanitizer makes calls of its own. */
	syscall(SYS_exit_group, !result && heap->found.garbage == 5000);
}

static void in_a_child(void **state)
{
	struct heap heap;

	(void)state;
	heap_make(&heap, 5000, 5000, true);
	cycle(&heap, 0, 5000);
	find_within(&heap, &narrow, 5001);
	assert_int_equal(status_of_child(without_memory, &heap), 1 << 8);
	assert_int_equal(status_of_child(with_three_calls, &heap), 1 << 8);
	heap_free(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stopped),     cmocka_unit_test(deep_chains),
		cmocka_unit_test(one_of_many), cmocka_unit_test(random_graphs),
		cmocka_unit_test(in_a_child),
	};

	return cmocka_run_group_tests(tests, setup_types, NULL);
}

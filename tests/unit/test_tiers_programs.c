/* SPDX-License-Identifier: MIT */
/* Mode concurrent's rules together: programs with a clock, costs and a memory of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/tiers.h"

#define MS     1000000ull
#define SECOND (1000 * MS)
#define MB     (1ull << 20)

static const struct tiers_limits limits_of_mode = {
	.pause_ns = MS,
	.growth = .3,
	.own = { 700, 10, 10 },
	.marks = true,
};

/* Objects are numbered as they are made, and die in that order. Each holds 100 bytes. */
struct program {
	/* What it is like: */
	uint64_t fixed; /* bytes that are no objects' */
	uint64_t alive; /* so many of the last objects that survive are in use */
	double survive; /* share of objects that do not die young */
	bool by_count;	/* they die by reference count, when it is time */
	double make_ns, look_ns, free_ns, mark_ns; /* an object */
	/* How it is: */
	struct tiers tiers;
	uint64_t now, seen_ns, made, gone, young;
	/* The mark: what it is to find, and when. */
	uint64_t found, began_ns, ends_ns;
	/* What is asserted: */
	unsigned marks;
	uint64_t longest_ns, most, paused_ns;
};

static uint64_t in_memory(const struct program *p)
{
	return p->made - p->gone;
}

static uint64_t garbage(const struct program *p)
{
	uint64_t dead = p->made > p->alive ? p->made - p->alive : 0;

	return dead > p->gone ? dead - p->gone : 0;
}

static uint64_t resident(const struct program *p)
{
	return p->fixed + 100 * (in_memory(p) + p->young);
}

static void program_begin(struct program *p)
{
	p->now = 100 * SECOND;
	p->made = p->alive;
	tiers_begin(&p->tiers, &limits_of_mode, p->alive,
		    (uint64_t)(p->look_ns * (double)p->alive));
	tiers_memory(&p->tiers, p->now, resident(p), false, &(uint32_t){ 0 });
	p->seen_ns = p->now;
}

static void program_marks(struct program *p)
{
	struct tiers *t = &p->tiers;
	uint32_t why;

	if (t->out && !t->left && p->now >= p->ends_ns) {
		tiers_mark_ends(t, p->now, in_memory(p) - p->found, p->found,
				p->ends_ns - p->began_ns);
		if (!p->found)
			tiers_swept(t, p->now, resident(p));
	}
	if (p->now - p->seen_ns < 20 * MS)
		return;
	p->seen_ns = p->now;
	if (tiers_memory(t, p->now, resident(p), false, &why)) {
		tiers_mark_begins(t);
		p->marks++;
		p->found = garbage(p);
		p->began_ns = p->now;
		p->ends_ns = p->now + (uint64_t)((double)in_memory(p) * p->mark_ns);
	}
}

/* All that comes between two automatic collections, and the second one. */
static void program_step(struct program *p)
{
	struct tiers *t = &p->tiers;
	int generation = t->threshold1 == 0;
	uint64_t old = generation ? (uint64_t)t->middle : 0, young = (uint64_t)t->threshold0;
	uint64_t survive = (uint64_t)((double)young * p->survive), swept = tiers_slice(t), ns;

	p->young = young;
	p->now += (uint64_t)((double)young * p->make_ns);
	if (resident(p) > p->most)
		p->most = resident(p);
	if (swept > t->left)
		swept = t->left;
	ns = (uint64_t)((double)(young + old) * p->look_ns + (double)swept * p->free_ns);
	p->now += ns;
	if (ns > p->longest_ns)
		p->longest_ns = ns;
	p->young = 0;
	p->made += survive;
	p->gone += swept;
	t->left -= swept;
	if (p->by_count)
		p->gone += garbage(p);
	tiers_collected(t, p->now, generation, young, swept, young - survive + swept, ns);
	if (swept && !t->left)
		tiers_swept(t, p->now, resident(p));
	program_marks(p);
	if (tiers_holds_back(t)) {
		p->now += MS;
		p->paused_ns += MS;
	}
}

static void program_run(struct program *p, unsigned seconds)
{
	uint64_t until = p->now + seconds * SECOND;

	while (p->now < until)
		program_step(p);
}

static void tell(const char *name, const struct program *p)
{
	print_message("%s: %u marks, longest %.2f ms, at most %.0f MB, held back %.0f ms\n", name,
		      p->marks, (double)p->longest_ns / 1e6, (double)p->most / 1e6,
		      (double)p->paused_ns / 1e6);
}

static void all_die_young(void **state)
{
	struct program p = {
		.fixed = 50 * MB, .alive = 300000, .make_ns = 1000, .look_ns = 60, .mark_ns = 100
	};

	(void)state;
	program_begin(&p);
	program_run(&p, 60);
	tell("all die young", &p);
	assert_int_equal(p.marks, 0);
	assert_true(p.longest_ns <= MS);
	assert_in_range(p.tiers.threshold0, 10000, 20000);
}

/* Sessions of a server that saturates its core; how much more than what is in use there was. */
static double cyclic_sessions(double survive, double free_ns)
{
	struct program p = { .fixed = 50 * MB,
			     .alive = 500000,
			     .survive = survive,
			     .make_ns = 1000,
			     .look_ns = 100,
			     .free_ns = free_ns,
			     .mark_ns = 100 };
	double most;

	program_begin(&p);
	program_run(&p, 60);
	tell("cyclic sessions", &p);
	most = ((double)p.most - (double)p.fixed) / 100. / (500000 + 20000);
	print_message("%.2f of what is in use\n", most);
	assert_true(p.longest_ns <= MS);
	return most;
}

static void sessions_stay_small(void **state)
{
	(void)state;
	assert_true(cyclic_sessions(1, 150) < 1.6);
	assert_true(cyclic_sessions(.3, 150) < 1.6);
	assert_true(cyclic_sessions(1, 400) < 1.8);
}

/* A cache that drops the oldest of its entries. */
static void cache_that_drops_the_oldest(void **state)
{
	struct program p = { .fixed = 50 * MB,
			     .alive = 300000,
			     .survive = .2,
			     .by_count = true,
			     .make_ns = 1000,
			     .look_ns = 100,
			     .free_ns = 150,
			     .mark_ns = 100 };
	unsigned first;

	(void)state;
	program_begin(&p);
	p.alive = 1000000; /* it fills */
	program_run(&p, 10);
	first = p.marks;
	program_run(&p, 100);
	tell("cache", &p);
	assert_in_range(first, 1, 10);
	assert_int_equal(p.marks, first);
	assert_true(p.longest_ns <= MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_die_young),
		cmocka_unit_test(sessions_stay_small),
		cmocka_unit_test(cache_that_drops_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

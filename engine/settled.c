/* SPDX-License-Identifier: MIT */
#include "engine/settled.h"

#include "base/clock.h"

/* What is looked at costs four system calls. */
#define LOOK_EVERY_NS 1000000000ull

/* By then most commands have ended (pip, a migration, a build step), or still import and grow. A
 * worker that serves for days loses nothing by it. */
#define QUIET_NS 30000000000ull

/* Seconds in which it collected. One burst after a long wait says nothing of what comes next. */
#define QUIET_LEAST 10

/* A job goes on with its next phase, and the longer one took, the longer may another: so it must
 * have been quiet for as many seconds as it was not. Five minutes are enough for those who fill a
 * cache for an hour. */
#define QUIET_MOST 300

/* Two arenas of the interpreter's allocator (1 MiB from 3.10 on), and 3 % of what a large process
 * has, are noise. A job that gets twice as large in ten minutes grows by 7 % a minute. */
#define GROWTH_LEAST (2ull << 20)
#define GROWTH_PART  32

/* A job that loads and drops its data by turns. What is less, and frozen when it is there, is less
 * than the half for which memory is collected with all that is frozen (engine/growth). */
#define SHRINKS(top, now) ((now) < (top) / 3 * 2)

/* A full collection takes 50 to 100 ns an object, and 500 to 1 000 ns more for each that it frees
 * (measured): one that it frees in each three microseconds is a twentieth of the heap, or a tenth
 * on a slow machine. A thousand of them are no heap's. */
#define GARBAGE_LEAST 1000
#define GARBAGE_NS    3000

static void settled_again(struct settled *settled, uint64_t now)
{
	settled->busy += settled->quiet;
	settled->quiet = 0;
	settled->quiet_ns = now;
}

void settled_full(struct settled *settled, uint64_t now, uint64_t collected, uint64_t took_ns)
{
	if (collected > GARBAGE_LEAST && collected > took_ns / GARBAGE_NS)
		settled_again(settled, now);
}

bool settled_is_due(const struct settled *settled, uint64_t now)
{
	return !settled->looked_ns || gcpreload_elapsed(settled->looked_ns, now) >= LOOK_EVERY_NS;
}

static bool settled_changes(const struct settled *settled, uint64_t resident, int64_t modules)
{
	uint64_t most = settled->base + settled->base / GROWTH_PART + GROWTH_LEAST;

	return modules != settled->modules || resident > most || SHRINKS(settled->top, resident);
}

static bool settled_long_enough(const struct settled *settled, uint64_t now)
{
	uint32_t needs = settled->busy < QUIET_MOST ? settled->busy : QUIET_MOST;

	return settled->quiet >= QUIET_LEAST && settled->quiet >= needs &&
	       gcpreload_elapsed(settled->quiet_ns, now) >= QUIET_NS;
}

bool settled_look(struct settled *settled, uint64_t now, uint64_t resident, int64_t modules)
{
	bool first = !settled->looked_ns, yes;

	settled->looked_ns = now;
	if (!resident || modules < 0)
		return false;
	settled->quiet++;
	if (first || settled_changes(settled, resident, modules)) {
		settled_again(settled, now);
		settled->base = settled->top = resident;
		settled->modules = modules;
		return false;
	}
	if (resident > settled->top)
		settled->top = resident;
	yes = settled_long_enough(settled, now);
	if (yes)
		settled_again(settled, now);
	return yes;
}

/* SPDX-License-Identifier: MIT */
#include "preload/home_wait.h"

#include "base/machine.h"
#include "base/shared.h"
#include "engine/engine.h"
#include "inject/inject.h"
#include "preload/caller.h"
#include "preload/look.h"

#define CALLERS 4
/* Looks in vain between two ticks of the coarse clock: a loop that waits for microseconds only
 * would pay for each. */
#define LOOKS_AGAIN 32
#define AT_WORK	    8 /* an eighth of the time */

/* Of the main thread, but for what is said to be shared. */
static struct {
	struct home home;
	bool measures;	 /* home was begun */
	uint64_t out_ns; /* so long nothing was home, if it is not waited in meanwhile; shared */
	struct caller callers[CALLERS];
	unsigned next_caller;
	bool begun; /* a wait is looked at; those of finalizers within it are not */
	uint64_t began_ns;
	struct home_key key; /* path is 0 until it has lasted */
	uint64_t others_ns;  /* CPU time of other threads, when it was last asked for */
	uint64_t asked_ns;   /* that was */
	uint64_t tick_ns;
	unsigned looked_again;
} here;

void home_wait_begin_process(void)
{
	store_relaxed(&look_at_home, 0);
	store_relaxed(&here.out_ns, 0);
	store_relaxed(&here.measures, false);
	store_relaxed(&here.begun, false);
	look_home_ns = 0;
}

void home_wait_wanted(bool wanted, uint64_t now)
{
	if (!wanted)
		store_relaxed(&look_at_home, 0);
	else if (!load_relaxed(&look_at_home) || now >= load_relaxed(&here.out_ns))
		store_relaxed(&look_at_home, LOOK_AT_ALL);
}

void home_wait_looks_for_server(void)
{
	if (load_relaxed(&look_at_home))
		store_relaxed(&look_at_home, 0);
}

/* Where the last few waits came from is remembered: to ask the loader takes microseconds. */
static bool home_wait_is_interpreters(const void *address)
{
	struct caller found, *caller;
	int i;

	for (i = 0; i < CALLERS; i++)
		if (caller_is_at(&here.callers[i], address))
			return here.callers[i].kind == CALLER_INTERPRETER;
	found = caller_at(address);
	caller = &here.callers[here.next_caller++ % CALLERS];
	/* In this order: a signal handler may wait, too. */
	store_release(&caller->high, 0);
	store_release(&caller->kind, found.kind);
	store_release(&caller->low, found.low);
	store_release(&caller->high, found.high);
	return found.kind == CALLER_INTERPRETER;
}

bool home_wait_begins(enum home_call call, const void *caller)
{
	if (here.begun)
		return false;
	here.begun = true; /* who is asked whose code it is may read, too */
	if (!home_wait_is_interpreters(caller)) {
		here.begun = false;
		return false;
	}
	here.began_ns = gcpreload_now_ns();
	here.key = (struct home_key){ .call = call };
	if (!here.measures) {
		here.measures = true;
		home_begin(&here.home, here.began_ns);
	}
	return true;
}

/* Others that are at work may have the GIL: to ask for it would cost them, and what comes in
 * meanwhile. One that only looks after something now and then does not count. */
static bool home_wait_others_work(void)
{
	uint64_t before = here.others_ns, others = machine_cpu_of_others();
	uint64_t now = gcpreload_now_ns(), passed = gcpreload_elapsed(here.asked_ns, now);

	here.others_ns = others;
	here.asked_ns = now;
	return machine_others_worked(others, before) &&
	       gcpreload_elapsed(before, others) > passed / AT_WORK;
}

bool home_wait_lasts(void)
{
	if (home_wait_others_work())
		return false;
	here.key.path = gcpreload_inject_wait_path();
	if (!here.key.path || !home_is(&here.home, &here.key))
		return false;
	look_home_ns = look_coarse_now() + gcpreload_engine_looks_every();
	return true;
}

void home_wait_looks_again(void)
{
	uint64_t tick = look_coarse_now();

	if (tick != here.tick_ns) {
		here.tick_ns = tick;
		here.looked_again = 0;
	}
	if (++here.looked_again >= LOOKS_AGAIN)
		look_home_ns = tick + 1;
}

/* While there is a home, waits of other kinds are not looked at. */
static void home_wait_measured(void)
{
	const struct home *home = &here.home;
	uint64_t now = gcpreload_now_ns();

	home_waited(&here.home, &here.key, here.began_ns, now);
	if (!home_is(home, &here.key)) {
		home_wait_looks_again();
		return;
	}
	store_relaxed(&here.out_ns, now + HOME_STAYS_NS);
	if (load_relaxed(&look_at_home))
		store_relaxed(&look_at_home, 1u << here.key.call);
}

void home_wait_ended(void)
{
	if (!here.begun)
		return;
	here.begun = false;
	if (here.key.path)
		home_wait_measured();
	else
		home_wait_looks_again();
}

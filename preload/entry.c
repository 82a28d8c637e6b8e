/* SPDX-License-Identifier: MIT */
#include "preload/entry.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/self.h"
#include "base/shared.h"
#include "preload/agenda.h"
#include "preload/caller.h"
#include "preload/home_wait.h"
#include "preload/listeners.h"
#include "preload/look.h"
#include "preload/servers.h"
#include "preload/service.h"

__thread bool entry_forks_alone __attribute__((tls_model("initial-exec")));

/* Asked once in each thread of each process: gettid() costs more than the rest of a look. Written
 * where a process begins, read by all of its threads. */
static uint32_t epoch;
static __thread struct {
	uint32_t epoch;
	bool main;
} this_thread __attribute__((tls_model("initial-exec")));

/* The thread that forked is its child's main thread. */
static void entry_begin_process(void)
{
	servers_begin_process();
	listeners_begin_process();
	home_wait_begin_process();
	add_relaxed(&epoch, 1);
	store_relaxed(&look_urgent, 0);
	look_at_once();
	agenda_begin_process();
	store_relaxed(&gcpreload_self->preload, 1);
	/* Last: from here on other threads look. */
	store_release(&gcpreload_self->settled, LOOK_ALWAYS);
}

void entry_start(void)
{
	entry_begin_process();
	this_thread.epoch = load_relaxed(&epoch);
	this_thread.main = true;
}

void entry_begin_if_new(void)
{
	if (__builtin_expect(!load_relaxed(&gcpreload_self->preload), 0)) {
		caller_forked(entry_forks_alone);
		entry_begin_process();
	}
}

bool entry_on_main_thread(void)
{
	entry_begin_if_new();
	if (__builtin_expect(this_thread.epoch != load_relaxed(&epoch), 0)) {
		this_thread.main = syscall(SYS_gettid) == syscall(SYS_getpid);
		this_thread.epoch = load_relaxed(&epoch);
	}
	return this_thread.main;
}

/* A process that serves by no socket has a home wait instead. */
static void entry_look_for_home(uint64_t now_ns)
{
	bool wanted =
	    gcpreload_engine_wants_chances() && !servers_any() && !listeners_for_workers();

	if (agenda_sees_waits())
		home_wait_wanted(wanted, now_ns);
}

static void entry_after_collection(uint64_t now_ns)
{
	entry_begin_if_new();
	agenda_tick(now_ns);
	entry_look_for_home(now_ns);
}

static void entry_settled(void)
{
	entry_begin_if_new();
	agenda_settled();
}

static void entry_pending_call(void)
{
	entry_begin_if_new();
	agenda_act();
	entry_look_for_home(gcpreload_now_ns());
}

static void entry_os_fork(void)
{
	entry_begin_if_new();
	agenda_before_fork();
}

const struct gcpreload_engine_hooks entry_hooks = {
	.tick = entry_after_collection,
	.settled = entry_settled,
	.act = entry_pending_call,
	.before_fork = entry_os_fork,
	.service = service_of_process,
};

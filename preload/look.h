/* SPDX-License-Identifier: MIT */
/* How closely the interposed calls look: the few words that each of them reads before it does
 * anything else. Everything above writes them; this file asks nobody. */
#ifndef GCPRELOAD_PRELOAD_LOOK_H
#define GCPRELOAD_PRELOAD_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/self.h"
#include "base/shared.h"

/* gcpreload_self->settled. */
enum look {
	LOOK_ALWAYS, /* at everything, at waits once a millisecond (what a forked child finds) */
	LOOK_NEVER,  /* a process without Python, or with nothing to do */
	LOOK_SELDOM, /* once a second, at waits */
};

/* There is something to do at the next wait, whenever that is. Set by any thread and by signal
 * handlers (look_soon); unset by the thread that serves, when it looks. */
extern int look_urgent;

/* accepts:N is a trigger. Written once, when the settings are read; read by any thread. */
extern bool look_counts_accepts;

/* Sockets that listen here, or did: a bit for each number, and one for 64 of them. Set by any
 * thread. */
#define LOOK_LISTENER(fd) (1ull << ((fd)&63))
extern uint64_t look_listeners;

/* How a thread waits. An accept says nothing of its other waits. */
enum look_call {
	LOOK_ACCEPT = 0,
	LOOK_EPOLL = 1,
	LOOK_POLL = 2,
	LOOK_SELECT = 4,
};

/* When the calling thread looks again, on the monotonic clock; 0: at once. Each thread has its own,
 * or busy threads would take the looks of the one that serves. */
struct look_times {
	unsigned calls;	    /* by which its server waits, of enum look_call */
	uint64_t next_ns;   /* at a wait by one of these: whose is it? */
	uint64_t server_ns; /* at a wait of the server's */
	uint64_t other_ns;  /* at any other */
	uint64_t glance_ns; /* at one of the server's that does not block */
};
extern __thread struct look_times look_times __attribute__((tls_model("initial-exec")));

/* The same for the home wait (preload/home_wait), where there is no server's: a bit for each enum
 * home_call that it may be. Written after collections and by the main thread, read by any. And when
 * the calling thread looks again, on the coarse clock. */
extern unsigned look_at_home;
extern __thread uint64_t look_home_ns __attribute__((tls_model("initial-exec")));
#define LOOK_AT_ALL   (~0u)
#define LOOK_NOT_HERE UINT64_MAX /* never */

static inline uint64_t look_coarse_now(void)
{
	return gcpreload_clock_ns(CLOCK_MONOTONIC_COARSE);
}

static inline void look_from_now_on(enum look how)
{
	store_relaxed(&gcpreload_self->settled, how);
}

static inline void look_at_once(void)
{
	look_times = (struct look_times){ 0 };
}

static inline void look_soon(void)
{
	store_release(&look_urgent, 1);
}

/* Whether nothing is looked at: where there is no Python, or nothing to do. */
static inline bool look_is_off(void)
{
	return load_relaxed(&gcpreload_self->settled) == LOOK_NEVER;
}

/* Whether a call other than a wait deserves a look. */
static inline bool look_at_calls(void)
{
	return load_relaxed(&gcpreload_self->settled) == LOOK_ALWAYS;
}

/* Whether a socket of that number may be one that listened here. */
static inline bool look_may_listen(int fd)
{
	return load_relaxed(&look_listeners) & LOOK_LISTENER(fd);
}

/* Whether it is time for one, at a wait by that call. In a forked child the times are still its
 * parent's. */
static inline bool look_is_due(enum look_call call, uint64_t coarse_now)
{
	bool servers = call ? look_times.calls & call : look_times.calls;

	return load_relaxed(&look_urgent) || !load_relaxed(&gcpreload_self->preload) ||
	       coarse_now >= (servers ? look_times.next_ns : look_times.other_ns);
}

/* Whether a wait may deserve one: ready_looks_at() knows. */
static inline bool look_at_waits(enum look_call call)
{
	return !__builtin_expect(look_is_off(), 1) && look_is_due(call, look_coarse_now());
}

/* Whether a wait of these kinds deserves a look because it may be the home wait. */
static inline bool look_is_for_home(unsigned kinds)
{
	return __builtin_expect(load_relaxed(&look_at_home) & kinds, 0) &&
	       look_coarse_now() >= look_home_ns;
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Which waits are a server's own: the state machine behind the trigger "auto".
 *
 * Ready: the main thread arms a listening socket (adds it to an epoll set, polls, selects or
 * accepts on it), and then waits. From then on, only waits of that thread on a set that holds
 * that socket are places where something may be done; every other wait (a driver's poll in a
 * request, time.sleep, native threads) passes through untouched.
 *
 * Every function here keeps errno.
 */
#ifndef GCPRELOAD_PRELOAD_READY_H
#define GCPRELOAD_PRELOAD_READY_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

#include "ring/clock.h"
#include "ring/self.h"

/* gcpreload_self->settled: how closely the interposed calls look. */
enum {
	READY_LOOK,  /* at everything, at waits once a millisecond (what a forked child finds) */
	READY_NEVER, /* a process without Python, or with nothing to do */
	READY_DONE,  /* once a second, at waits */
};

/* There is something to do at the next wait, whenever that is. Set by anybody, signal handlers
 * included. */
extern volatile int ready_urgent;

/* When the calling thread looks again. Each has its own, or busy threads would take the looks of
 * the one that serves. */
extern __thread uint64_t ready_next_look_ns __attribute__((tls_model("initial-exec")));

static inline uint64_t ready_coarse_now(void)
{
	return gcpreload_clock_ns(CLOCK_MONOTONIC_COARSE);
}

/* Whether a call other than a wait deserves a look. */
static inline bool ready_looking(void)
{
	return __atomic_load_n(&gcpreload_self->settled, __ATOMIC_RELAXED) == READY_LOOK;
}

/* Whether a wait deserves one: until a process is ready, once a millisecond; then once a second. */
static inline bool ready_wait_looking(void)
{
	if (__builtin_expect(
		__atomic_load_n(&gcpreload_self->settled, __ATOMIC_RELAXED) == READY_NEVER, 1))
		return false;
	/* In a forked child the time of the next look is still its parent's. */
	return ready_urgent || !__atomic_load_n(&gcpreload_self->preload, __ATOMIC_RELAXED) ||
	       ready_coarse_now() >= ready_next_look_ns;
}

/* Starts to look. After gcpreload_self_init. */
void ready_start(void);

/* Every entry that does not come through one of the functions below begins with this: in a
 * forked child all starts anew. */
void ready_begin_if_new(void);

/* listen(fd) succeeded. */
void ready_listened(int fd);

/* fd was added to the epoll set epfd. */
void ready_epoll_add(int epfd, int fd);

/* accept gave a connection; called only where ready_counts_accepts. */
void ready_accepted(void);
extern bool ready_counts_accepts; /* accepts:N is a trigger */

enum ready_wait {
	READY_GO_ON,
	/* A collection ran: the caller must return as if the time-out had passed (a blocking
	 * accept: as if a signal had come), so that the program's loop looks at what finalizers
	 * and signals have given it to do. */
	READY_COLLECTED,
	/* A collection is due. Where a look without waiting finds nothing, ready_collect() makes
	 * it. Only for a wait that would block. */
	READY_CHANCE,
	/* Something is due, and other threads are at work. The caller waits a little, and if
	 * nothing came asks ready_again(): after READY_BUSY once more, READY_SLICES times. */
	READY_BUSY,
};

/* How long, in microseconds: for four milliseconds as short as idle moments under load are, then 1,
 * 2, 4 ... 64 ms; together 131 ms. */
#define READY_SLICES   23
#define READY_SLICE(i) ((i) < 16 ? 250 : 1000 << ((i)-16))

/* After a wait of that length without anything: CHANCE, BUSY or GO_ON. */
enum ready_wait ready_again(void);

/* Before a wait. libuv: the caller is epoll_pwait. blocks: there is a time-out, or no end. */
enum ready_wait ready_at_epoll(int epfd, bool libuv, bool blocks);
enum ready_wait ready_at_poll(const struct pollfd *fds, nfds_t n, bool blocks);
enum ready_wait ready_at_select(int nfds, const fd_set *reads, bool blocks);
bool ready_at_accept(int fd);

/* After READY_CHANCE. endless: the wait must not return empty. True: as READY_COLLECTED. */
bool ready_collect(bool endless);

/* What the wait had after ready_collect(), looked at without waiting. */
void ready_woke(int found);

/* fork() is called from C. */
void ready_before_fork(void);

#endif

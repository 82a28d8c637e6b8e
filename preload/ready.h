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
#include <sys/select.h>

#include "preload/servers.h"

/* Until a process is ready, each descriptor of a poll costs a system call: look at few, and not
 * at every call. */
#define READY_LOOK_AT 8

/* listen(fd) succeeded. */
void ready_listened(int fd);

/* fd was added to the epoll set epfd, by the code at caller. */
void ready_epoll_add(int epfd, int fd, const void *caller);

/* accept gave a connection; called only where look_counts_accepts. */
void ready_accepted(void);

enum ready_wait {
	READY_GO_ON,
	/* A collection ran. The caller waits for the time that is left ... */
	READY_COLLECTED,
	/* ... or returns as if that had passed: a loop that looks at its queue, into which
	 * finalizers may have put something ... */
	READY_EMPTY,
	/* ... or as if a signal had come: the interpreter, which looks at its signals and tries
	 * again for the time that is left; anybody else only where one has come. */
	READY_INTERRUPTED,
	/* A collection is due. Where a look without waiting finds nothing, ready_collect() makes
	 * it. Only for a wait that would block. */
	READY_DUE,
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

/* Whether the wait that begins is worth more than its system call: by epoll on epfd, or (-1) by
 * another call. Cheap, and for what is not the server's only now and then true. */
bool ready_looks_at(int epfd, enum look_call call);

/* Then: how long to wait before it is looked at by one of the following, ns; 0: not. A wait of the
 * server's that comes too soon after the last look; longer ones only. */
int64_t ready_rest_ns(void);

/* The same for a wait that does not block. */
bool ready_glances(void);

/* Before a wait. blocks: there is a time-out, or no end. caller: the code that waits. */
enum ready_wait ready_at_epoll(int epfd, bool blocks, const void *caller);
enum ready_wait ready_at_poll(const struct pollfd *fds, nfds_t n, bool blocks, const void *caller);
enum ready_wait ready_at_select(int nfds, const fd_set *reads, bool blocks, const void *caller);

/* In a wait that has lasted and may be the home wait (preload/home_wait). */
enum ready_wait ready_at_home(void);

/* How many of n descriptors ready_at_poll looks at. */
static inline nfds_t ready_reads(nfds_t n)
{
	return n < READY_LOOK_AT ? n : READY_LOOK_AT;
}

/* Whether accept(2) on it waits. */
bool ready_accept_blocks(int fd);

/* Before one that waits, after another that found something. True: as READY_INTERRUPTED. */
bool ready_at_accept(int fd, const void *caller);

/* After READY_DUE. endless: the wait must not return empty. One of the first four. */
enum ready_wait ready_collect(bool endless);

/* What the wait had after that, looked at without waiting. */
void ready_woke(int found);

#endif

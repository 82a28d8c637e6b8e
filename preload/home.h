/* SPDX-License-Identifier: MIT */
/*
 * The home wait of a process that serves by no listening socket (a task queue's worker, a consumer,
 * a scheduler): the wait in which its main thread spends most of its time. Pure: no clock, no
 * Python, no system call. Times are ns.
 *
 * A wait is known by the libc function and by the Python calls that led to it. A worker's wait for
 * a job and the waits within jobs may be on one and the same socket; they come by other calls.
 */
#ifndef GCPRELOAD_PRELOAD_HOME_H
#define GCPRELOAD_PRELOAD_HOME_H

#include <stdbool.h>
#include <stdint.h>

/* Nothing is home before so much time was looked at, and so many waits of it have ended: what is
 * true of a short while may be true of one job. */
#define HOME_LEAST_NS	 5000000000ull
#define HOME_LEAST_WAITS 4
/* What is known counts half after so long: a job of a minute is not most of the time of a worker
 * that has waited for it. */
#define HOME_HALVES_NS 60000000000ull
/* A home that was not come back to for so long may be left for another. */
#define HOME_STAYS_NS 300000000000ull

enum home_call {
	HOME_NONE,
	HOME_EPOLL,
	HOME_POLL,
	HOME_SELECT, /* also time.sleep() before 3.11 */
	HOME_SLEEP,
	HOME_READ,
	HOME_RECEIVE,
};

struct home_key {
	enum home_call call;
	uint64_t path; /* of the Python calls */
};

#define HOME_PLACES 8

struct home {
	struct home_place {
		struct home_key key;
		uint64_t blocked_ns; /* in it, since since_ns */
		uint64_t longest_ns; /* slowly forgotten */
		unsigned waits;
	} places[HOME_PLACES];
	struct home_place *at; /* home; NULL: not known yet */
	uint64_t since_ns;
	uint64_t seen_ns; /* when home was last left */
};

void home_begin(struct home *home, uint64_t now_ns);

/* A wait has ended that was long enough to count. */
void home_waited(struct home *home, const struct home_key *key, uint64_t began_ns,
		 uint64_t ended_ns);

bool home_is(const struct home *home, const struct home_key *key);

#endif

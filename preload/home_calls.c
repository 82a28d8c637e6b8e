/* SPDX-License-Identifier: MIT */
#include "preload/home_calls.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "preload/entry.h"
#include "preload/home_wait.h"
#include "preload/ready.h"
#include "preload/real.h"
#include "preload/servers.h"

#define MILLISECOND 1000000
#define SECOND	    1000000000ll
#define ENDLESS	    (-1)

/* A call, and how to wait for the same, at most for so long, without taking anything: ns; 0: a
 * look. As poll(2): how much there is, 0 or -1. */
struct home_part {
	int (*wait)(const struct home_part *part, int64_t ns);
	union {
		struct pollfd *fds;
		fd_set *const *sets; /* three */
	};
	nfds_t n; /* also nfds */
	int64_t left;
	bool may_be_empty;
	uint64_t began_ns;
	int found; /* by the last of these waits */
};

enum home_end { HOME_GOES_ON, HOME_EMPTY, HOME_INTERRUPTED };

bool home_calls_begin(enum home_call call, const void *caller)
{
	int saved_errno = errno;
	bool yes;

	if (!entry_on_main_thread()) {
		look_home_ns = LOOK_NOT_HERE;
		return false;
	}
	/* In a forked child nothing is known yet. */
	yes = load_relaxed(&look_at_home) && !servers_any() && gcpreload_engine_wants_chances();
	if (yes && !home_wait_begins(call, caller)) {
		home_wait_looks_again();
		yes = false;
	}
	errno = saved_errno;
	return yes;
}

static struct timespec home_timespec(int64_t ns)
{
	return (struct timespec){ ns / SECOND, ns % SECOND };
}

static int home_part_polls(const struct home_part *part, int64_t ns)
{
	struct timespec time = home_timespec(ns);

	return REAL(ppoll)(part->fds, part->n, &time, NULL);
}

static int home_part_selects(const struct home_part *part, int64_t ns)
{
	struct timeval time = { ns / SECOND, ns % SECOND / 1000 };
	size_t bytes = (part->n + 63) / 64 * 8;
	fd_set copies[3], *given[3];
	int i;

	for (i = 0; i < 3; i++) {
		given[i] = part->sets[i] ? &copies[i] : NULL;
		if (given[i])
			memcpy(given[i], part->sets[i], bytes);
	}
	return REAL(select)((int)part->n, given[0], given[1], given[2], &time);
}

/* Whether so much of its time is left. */
static bool home_part_has(const struct home_part *part, int64_t ns)
{
	int64_t passed = (int64_t)gcpreload_elapsed(part->began_ns, gcpreload_now_ns());

	return part->left < 0 || part->left - passed > ns;
}

/* While other threads are at work, in slices. */
static int home_part_in_slices(const struct home_part *part, enum ready_wait *what)
{
	int64_t slice;
	int i, found = 0;

	for (i = 0; *what == READY_BUSY && i < READY_SLICES && !found; i++) {
		slice = READY_SLICE(i) * 1000ll;
		if (!home_part_has(part, slice))
			break;
		found = part->wait(part, slice);
		if (!found)
			*what = ready_again();
	}
	return found;
}

static bool home_has_collected(enum ready_wait what)
{
	return what == READY_COLLECTED || what == READY_EMPTY || what == READY_INTERRUPTED;
}

/* Waits a little, and collects where it may: what was found meanwhile, as poll(2). */
static int home_part_acts(const struct home_part *part, enum ready_wait *what)
{
	int found;

	*what = READY_GO_ON;
	if (!home_part_has(part, HOME_LASTS_NS))
		return 0;
	found = part->wait(part, HOME_LASTS_NS);
	if (found)
		return found;
	*what = ready_at_home();
	found = home_part_in_slices(part, what);
	if (!found && *what == READY_DUE) {
		found = part->wait(part, 0);
		if (!found)
			*what = ready_collect(false);
	}
	if (found || !home_has_collected(*what))
		return found;
	found = part->wait(part, 0);
	ready_woke(found);
	return found;
}

/* What has passed is not waited for again. */
static void home_part_passes(struct home_part *part)
{
	int64_t passed = (int64_t)gcpreload_elapsed(part->began_ns, gcpreload_now_ns());

	if (part->left >= 0)
		part->left = part->left > passed ? part->left - passed : 0;
}

/* How the first part ends: the real call follows, for what is left, or nothing. */
static enum home_end home_first_part(struct home_part *part)
{
	int saved_errno = errno, found;
	enum ready_wait what;

	part->began_ns = gcpreload_now_ns();
	part->found = found = home_part_acts(part, &what);
	if (found < 0 && errno == EINTR)
		return HOME_INTERRUPTED;
	home_part_passes(part);
	errno = saved_errno;
	if (found || (what != READY_EMPTY && what != READY_INTERRUPTED))
		return HOME_GOES_ON;
	if (what == READY_EMPTY && part->may_be_empty)
		return HOME_EMPTY;
	errno = EINTR;
	return HOME_INTERRUPTED;
}

static int64_t home_ns_of_ms(int timeout)
{
	return timeout < 0 ? ENDLESS : timeout * (int64_t)MILLISECOND;
}

/* Rounded up: a wait may be longer than asked for, and not shorter. */
static int home_ms_left(const struct home_part *part)
{
	return part->left < 0 ? -1 : (int)((part->left + MILLISECOND - 1) / MILLISECOND);
}

int home_epoll(int epfd, struct epoll_event *events, int max, int timeout)
{
	struct pollfd set = { .fd = epfd, .events = POLLIN };
	struct home_part part = { .wait = home_part_polls,
				  .fds = &set,
				  .n = 1,
				  .left = home_ns_of_ms(timeout),
				  .may_be_empty = true };
	enum home_end end = home_first_part(&part);
	int ret = end == HOME_INTERRUPTED ? -1 : 0;

	if (end == HOME_GOES_ON)
		ret = REAL(epoll_wait)(epfd, events, max, home_ms_left(&part));
	home_wait_ended();
	return ret;
}

int home_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct home_part part = { .wait = home_part_polls,
				  .fds = fds,
				  .n = n,
				  .left = home_ns_of_ms(timeout),
				  .may_be_empty = true };
	enum home_end end = home_first_part(&part);
	int ret = end == HOME_INTERRUPTED ? -1 : 0;

	/* What was found is there already. */
	if (end == HOME_GOES_ON)
		ret = part.found > 0 ? part.found : REAL(poll)(fds, n, home_ms_left(&part));
	home_wait_ended();
	return ret;
}

int home_select(int nfds, fd_set *reads, fd_set *writes, fd_set *excepts, struct timeval *timeout)
{
	static struct timeval none;
	fd_set *const sets[3] = { reads, writes, excepts };
	struct home_part part = { .wait = home_part_selects,
				  .sets = sets,
				  .n = (nfds_t)nfds,
				  .left = ENDLESS,
				  /* Of no descriptors it is a sleep, which has no other end. */
				  .may_be_empty = nfds > 0 };
	struct timeval left;
	enum home_end end;
	int ret = -1;

	if (timeout && timeout->tv_sec < INT_MAX)
		part.left = timeout->tv_sec * SECOND + timeout->tv_usec * 1000;
	end = home_first_part(&part);
	if (end == HOME_EMPTY) {
		ret = REAL(select)(nfds, reads, writes, excepts, &none); /* empties the sets */
	} else if (end == HOME_GOES_ON) {
		part.left += part.left > 0 ? 999 : 0; /* rounded up */
		left = (struct timeval){ part.left / SECOND, part.left % SECOND / 1000 };
		ret = REAL(select)(nfds, reads, writes, excepts, part.left < 0 ? timeout : &left);
	}
	home_wait_ended();
	return ret;
}

/* ---- calls that cannot come back empty ---- */

static int home_part_sleeps(const struct home_part *part, int64_t ns)
{
	struct timespec time = home_timespec(ns);
	int error = ns ? REAL(clock_nanosleep)(CLOCK_MONOTONIC, 0, &time, NULL) : 0;

	(void)part;
	if (error)
		errno = error;
	return error ? -1 : 0;
}

int home_sleep(const struct timespec *until)
{
	int64_t now = (int64_t)gcpreload_now_ns(), then = INT64_MAX;
	struct home_part part = { .wait = home_part_sleeps };
	int saved_errno = errno, ret = EINTR;

	if (until->tv_sec < INT_MAX)
		then = until->tv_sec * SECOND + until->tv_nsec;
	part.left = then > now ? then - now : 0;
	if (home_first_part(&part) == HOME_GOES_ON)
		ret = REAL(clock_nanosleep)(CLOCK_MONOTONIC, TIMER_ABSTIME, until, NULL);
	home_wait_ended();
	errno = saved_errno;
	return ret;
}

/* One that has a time-out of its own would begin it anew each time it is interrupted. */
static bool home_read_is_endless(enum home_call call, int fd)
{
	struct timeval most = { 0, 0 };
	socklen_t length = sizeof most;

	return ready_accept_blocks(fd) &&
	       (call != HOME_RECEIVE ||
		(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, &length) == 0 && !most.tv_sec &&
		 !most.tv_usec));
}

bool home_read_interrupted(enum home_call call, int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	struct home_part part = { .wait = home_part_polls, .fds = &one, .n = 1, .left = ENDLESS };
	int saved_errno = errno;
	bool endless = home_read_is_endless(call, fd);

	errno = saved_errno;
	return endless && home_first_part(&part) == HOME_INTERRUPTED;
}

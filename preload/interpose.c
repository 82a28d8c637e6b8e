/* SPDX-License-Identifier: MIT */
/*
 * The closed set of libc functions that we stand in front of. Each passes through: same result,
 * same errno, no measurable cost in a process that has nothing to look for. They are
 * async-signal-safe in POSIX, and so are these.
 *
 * Where nothing is looked for, the real function is called last and with our caller's return
 * address: a return of our own after a system call is one that the processor mispredicts (its
 * return stack is emptied in the kernel), measured 9 ns.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "preload/ready.h"
#include "preload/real.h"

#define EXPORT __attribute__((visibility("default")))

/* bits/poll2.h declares these only where it uses them. */
int __poll_chk(struct pollfd *, nfds_t, int, size_t);
int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);

#ifndef __clang__
/* glibc's headers say that poll only writes to its argument. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

/* listen() alone does not make a process ready: most servers call it before the app is loaded. */
EXPORT int listen(int fd, int backlog)
{
	int ret = REAL(listen)(fd, backlog);

	if (ret == 0)
		ready_listened(fd);
	return ret;
}

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	int ret;

	if (op != EPOLL_CTL_ADD || !ready_looking())
		return REAL(epoll_ctl)(epfd, op, fd, event);
	ret = REAL(epoll_ctl)(epfd, op, fd, event);
	if (ret == 0)
		ready_epoll_add(epfd, fd);
	return ret;
}

/* While other threads are at work, CALL waits for *slice, a part of what is left of the time-out in
 * microseconds (-1: no end); what comes is the answer. */
#define SETTLE(what, left, CALL)                                                                   \
	do {                                                                                       \
		struct timespec slice_, *slice = &slice_;                                          \
		int i_, ret_;                                                                      \
                                                                                                   \
		for (i_ = 0; (what) == READY_BUSY && i_ < READY_SLICES; i_++) {                    \
			if ((left) >= 0 && (left) <= READY_SLICE(i_))                              \
				break;                                                             \
			*slice = (struct timespec){ 0, READY_SLICE(i_) * 1000L };                  \
			ret_ = CALL;                                                               \
			if (ret_ != 0)                                                             \
				return ret_;                                                       \
			(left) -= (left) > 0 ? READY_SLICE(i_) : 0;                                \
			(what) = ready_again();                                                    \
		}                                                                                  \
	} while (0)

/* The same for a time-out in milliseconds. */
#define SETTLE_MS(what, timeout, CALL)                                                             \
	do {                                                                                       \
		long left_ = (timeout) < 0 ? -1 : (timeout)*1000L;                                 \
                                                                                                   \
		SETTLE(what, left_, CALL);                                                         \
		if (left_ > 0)                                                                     \
			(timeout) = (int)((left_ + 999) / 1000);                                   \
	} while (0)

/* epoll_wait(2) knows of milliseconds only; poll(2) may wait for the set itself. */
static int epoll_for(int epfd, struct epoll_event *events, int max, const struct timespec *slice)
{
	struct pollfd set = { .fd = epfd, .events = POLLIN };
	int ret = REAL(ppoll)(&set, 1, slice, NULL);

	return ret > 0 ? REAL(epoll_wait)(epfd, events, max, 0) : ret;
}

/*
 * Each wait in the same four steps: is there anything to look at (ready_at_*), and if a collection
 * is due, is there work already (the real call, without waiting)? Then that is the answer. Else
 * collect, and never block afterwards.
 */
EXPORT int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	enum ready_wait what;
	int ret;

	if (!ready_wait_looking())
		return REAL(epoll_wait)(epfd, events, max, timeout);
	what = ready_at_epoll(epfd, false, timeout != 0);
	SETTLE_MS(what, timeout, epoll_for(epfd, events, max, slice));
	if (what == READY_CHANCE) {
		ret = REAL(epoll_wait)(epfd, events, max, 0);
		if (ret != 0)
			return ret;
		if (ready_collect(false)) {
			ret = REAL(epoll_wait)(epfd, events, max, 0);
			ready_woke(ret);
			return ret;
		}
	}
	return REAL(epoll_wait)(epfd, events, max, what == READY_COLLECTED ? 0 : timeout);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout,
		       const sigset_t *mask)
{
	enum ready_wait what;
	int ret;

	if (!ready_wait_looking())
		return REAL(epoll_pwait)(epfd, events, max, timeout, mask);
	what = ready_at_epoll(epfd, true, timeout != 0);
	/* libuv asserts that a wait without a time-out does not time out. */
	if (what == READY_CHANCE) {
		ret = REAL(epoll_pwait)(epfd, events, max, 0, mask);
		if (ret != 0)
			return ret;
		if (ready_collect(timeout == -1) && timeout != -1) {
			ret = REAL(epoll_pwait)(epfd, events, max, 0, mask);
			ready_woke(ret);
			return ret;
		}
	}
	if (what == READY_COLLECTED && timeout != -1)
		timeout = 0;
	return REAL(epoll_pwait)(epfd, events, max, timeout, mask);
}

/* After a collection, a wait that found nothing: a loop of several descriptors looks at its queue
 * when its time seems to have passed. A wait on one descriptor is a socket's own time-out, and
 * one without an end never comes back empty: "interrupted" has both tried again, after a look at
 * signals (PEP 475), and takes no more time than there was. */
static int found_nothing(bool retried, int ret)
{
	if (ret != 0 || !retried)
		return ret;
	errno = EINTR;
	return -1;
}

/* CALL looks at the descriptors without waiting; TIMED: an empty answer is not one that the caller
 * takes for its own time-out. Falls through where the caller's own wait is to follow. */
#define POLL_AT_CHANCE(what, TIMED, CALL)                                                          \
	do {                                                                                       \
		int ret_;                                                                          \
                                                                                                   \
		if ((what) == READY_COLLECTED)                                                     \
			return found_nothing(TIMED, CALL);                                         \
		if ((what) != READY_CHANCE)                                                        \
			break;                                                                     \
		ret_ = CALL;                                                                       \
		if (ret_ != 0)                                                                     \
			return ret_;                                                               \
		if (ready_collect(false)) {                                                        \
			ret_ = CALL;                                                               \
			ready_woke(ret_);                                                          \
			return found_nothing(TIMED, ret_);                                         \
		}                                                                                  \
	} while (0)

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	enum ready_wait what;

	if (!ready_wait_looking())
		return REAL(poll)(fds, n, timeout);
	what = ready_at_poll(fds, n, timeout != 0);
	SETTLE_MS(what, timeout, REAL(ppoll)(fds, n, slice, NULL));
	POLL_AT_CHANCE(what, timeout && (n == 1 || timeout < 0), REAL(poll)(fds, n, 0));
	return REAL(poll)(fds, n, timeout);
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	enum ready_wait what;

	if (!ready_wait_looking())
		return REAL(__poll_chk)(fds, n, timeout, size);
	what = ready_at_poll(fds, n, timeout != 0);
	SETTLE_MS(what, timeout, REAL(__ppoll_chk)(fds, n, slice, NULL, size));
	POLL_AT_CHANCE(what, timeout && (n == 1 || timeout < 0), REAL(__poll_chk)(fds, n, 0, size));
	return REAL(__poll_chk)(fds, n, timeout, size);
}

static const struct timespec now = { 0, 0 };

static bool is_now(const struct timespec *timeout)
{
	return timeout && !timeout->tv_sec && !timeout->tv_nsec;
}

/* Rounded down: nothing may take more than there is. */
static long microseconds_of(const struct timespec *timeout)
{
	if (!timeout)
		return -1;
	if (timeout->tv_sec < 0 || timeout->tv_sec >= INT_MAX)
		return timeout->tv_sec < 0 ? 0 : INT_MAX * 1000000L;
	return timeout->tv_sec * 1000000L + timeout->tv_nsec / 1000;
}

/* The same for a time-out in nanoseconds, of which rest keeps what is left. */
#define SETTLE_NS(what, timeout, rest, CALL)                                                       \
	do {                                                                                       \
		long whole_ = microseconds_of(timeout), left_ = whole_;                            \
                                                                                                   \
		SETTLE(what, left_, CALL);                                                         \
		if (left_ != whole_) {                                                             \
			(rest) = (struct timespec){ left_ / 1000000, left_ % 1000000 * 1000 };     \
			(timeout) = &(rest);                                                       \
		}                                                                                  \
	} while (0)

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec rest;
	enum ready_wait what;

	if (!ready_wait_looking())
		return REAL(ppoll)(fds, n, timeout, mask);
	what = ready_at_poll(fds, n, !is_now(timeout));
	SETTLE_NS(what, timeout, rest, REAL(ppoll)(fds, n, slice, mask));
	POLL_AT_CHANCE(what, !timeout || (n == 1 && !is_now(timeout)),
		       REAL(ppoll)(fds, n, &now, mask));
	return REAL(ppoll)(fds, n, timeout, mask);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		       const sigset_t *mask, size_t size)
{
	struct timespec rest;
	enum ready_wait what;

	if (!ready_wait_looking())
		return REAL(__ppoll_chk)(fds, n, timeout, mask, size);
	what = ready_at_poll(fds, n, !is_now(timeout));
	SETTLE_NS(what, timeout, rest, REAL(__ppoll_chk)(fds, n, slice, mask, size));
	POLL_AT_CHANCE(what, !timeout || (n == 1 && !is_now(timeout)),
		       REAL(__ppoll_chk)(fds, n, &now, mask, size));
	return REAL(__ppoll_chk)(fds, n, timeout, mask, size);
}

/* For so many microseconds. The sets are the caller's: what is found nothing in leaves them as
 * they were. */
static int select_for(int nfds, fd_set *reads, fd_set *writes, fd_set *excepts, int microseconds)
{
	struct timeval time = { 0, microseconds };
	fd_set copies[3], *sets[3] = { reads, writes, excepts };
	size_t bytes = ((size_t)nfds + 63) / 64 * 8;
	int i, ret;

	for (i = 0; i < 3; i++)
		if (sets[i])
			memcpy(&copies[i], sets[i], bytes);
	ret = REAL(select)(nfds, reads, writes, excepts, &time);
	if (ret != 0)
		return ret;
	for (i = 0; i < 3; i++)
		if (sets[i])
			memcpy(sets[i], &copies[i], bytes);
	return 0;
}

static bool is_zero(const struct timeval *timeout)
{
	return timeout && !timeout->tv_sec && !timeout->tv_usec;
}

/* A collection has run. A wait with an end: its time seems to have passed, and the kernel writes
 * what is left of it: nothing. */
static int select_after(int nfds, fd_set *reads, fd_set *writes, fd_set *excepts, bool endless)
{
	static struct timeval none;

	if (endless)
		return found_nothing(true, select_for(nfds, reads, writes, excepts, 0));
	return REAL(select)(nfds, reads, writes, excepts, &none);
}

/* As SETTLE. */
static int select_settle(enum ready_wait *what, int nfds, fd_set *reads, fd_set *writes,
			 fd_set *excepts, struct timeval *timeout)
{
	int i, ret;

	for (i = 0; *what == READY_BUSY && i < READY_SLICES; i++) {
		struct timeval slice = { 0, READY_SLICE(i) };

		if (timeout && !timercmp(timeout, &slice, >))
			break;
		ret = select_for(nfds, reads, writes, excepts, READY_SLICE(i));
		/* The kernel, too, leaves what remains of it. */
		if (timeout)
			timersub(timeout, &slice, timeout);
		if (ret != 0)
			return ret;
		*what = ready_again();
	}
	return 0;
}

EXPORT int select(int nfds, fd_set *reads, fd_set *writes, fd_set *excepts, struct timeval *timeout)
{
	enum ready_wait what = READY_GO_ON;
	int ret;

	/* Only sets of up to FD_SETSIZE descriptors are looked at. */
	if (ready_wait_looking())
		what = ready_at_select(nfds, reads, !is_zero(timeout));
	ret = select_settle(&what, nfds, reads, writes, excepts, timeout);
	if (ret != 0)
		return ret;
	if (what == READY_COLLECTED)
		return select_after(nfds, reads, writes, excepts, !timeout);
	if (what == READY_CHANCE) {
		ret = select_for(nfds, reads, writes, excepts, 0);
		if (ret != 0)
			return ret;
		if (ready_collect(false)) {
			ret = select_after(nfds, reads, writes, excepts, !timeout);
			ready_woke(ret);
			return ret;
		}
	}
	return REAL(select)(nfds, reads, writes, excepts, timeout);
}

/* A blocking accept cannot return "nothing yet"; "interrupted" makes the interpreter look at
 * its signals, which may have come during the collection, and call again (PEP 475). */
static int accepted(int fd)
{
	if (fd >= 0)
		ready_accepted();
	return fd;
}

static int accept_anew(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_NONBLOCK);
}

EXPORT int accept(int fd, struct sockaddr *address, socklen_t *length)
{
	if ((ready_looking() || ready_wait_looking()) && ready_at_accept(fd) && accept_anew(fd)) {
		errno = EINTR;
		return -1;
	}
	if (!ready_counts_accepts)
		return REAL(accept)(fd, address, length);
	return accepted(REAL(accept)(fd, address, length));
}

EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	if ((ready_looking() || ready_wait_looking()) && ready_at_accept(fd) && accept_anew(fd)) {
		errno = EINTR;
		return -1;
	}
	if (!ready_counts_accepts)
		return REAL(accept4)(fd, address, length, flags);
	return accepted(REAL(accept4)(fd, address, length, flags));
}

EXPORT pid_t fork(void)
{
	ready_before_fork();
	return REAL(fork)();
}

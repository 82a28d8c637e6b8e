/* SPDX-License-Identifier: MIT */
#include "preload/wait.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "preload/ready.h"
#include "preload/real.h"

#define MILLISECOND 1000000
#define SECOND	    1000000000ll
#define ENDLESS	    (-1)

/* One call, and how to make it in part. */
struct wait {
	/* At most for so long, in ns; 0: a look. */
	int (*call)(const struct wait *wait, int64_t ns);
	union {
		int epfd;
		int nfds;
	};
	union {
		struct epoll_event *events;
		struct pollfd *fds;
		fd_set *const *sets; /* three */
	};
	int max;
	nfds_t n;
	const sigset_t *mask;
	int64_t left; /* of the time-out, ns; or ENDLESS */
	uint64_t began_ns;
	bool epolls;	  /* its time is in milliseconds */
	bool never_empty; /* without an end it must not come back empty */
};

/* sigprocmask(2) reads the set before it finds that it cannot do so with it: EFAULT or EINVAL. */
static bool wait_asks_to_read(const void *address)
{
	int saved_errno = errno;
	bool yes = syscall(SYS_rt_sigprocmask, -1, address, NULL, 8) == 0 || errno != EFAULT;

	errno = saved_errno;
	return yes;
}

/* In our callers' frames, which are there as long as they wait; CPython's sets lie far up. */
#define FRAMES (256u << 10)
#define ASKED  16

/* What a loop passes lies at the same place each time, and is asked for once. */
static bool wait_can_read(const void *address)
{
	static __thread const void *asked[ASKED] __attribute__((tls_model("initial-exec")));
	uint32_t hash = (uint32_t)((uintptr_t)address >> 3) * 2654435769u;
	const void **place = &asked[hash / (UINT32_MAX / ASKED + 1)];

	if (*place == address &&
	    (uintptr_t)address - (uintptr_t)__builtin_frame_address(0) < FRAMES)
		return true;
	if (!wait_asks_to_read(address))
		return false;
	*place = address;
	return true;
}

/* What the program passes may be anything: the real call says EFAULT, we must not crash. */
static bool wait_can_read_all(const void *address, size_t bytes)
{
	const char *first = address;

	return !bytes || (wait_can_read(first) && (bytes <= 8 || wait_can_read(first + bytes - 8)));
}

static struct timespec wait_timespec(int64_t ns)
{
	return (struct timespec){ ns / SECOND, ns % SECOND };
}

/* epoll_wait(2) knows of milliseconds only; poll(2) may wait for the set itself. */
static bool wait_is_whole(int64_t ns)
{
	return ns % MILLISECOND == 0;
}

static int wait_call_epoll(const struct wait *wait, int64_t ns)
{
	struct pollfd set = { .fd = wait->epfd, .events = POLLIN };
	struct timespec time = wait_timespec(ns);
	int ret;

	if (wait_is_whole(ns))
		return REAL(epoll_wait)(wait->epfd, wait->events, wait->max,
					(int)(ns / MILLISECOND));
	ret = REAL(ppoll)(&set, 1, &time, NULL);
	return ret > 0 ? REAL(epoll_wait)(wait->epfd, wait->events, wait->max, 0) : ret;
}

static int wait_call_epoll_pwait(const struct wait *wait, int64_t ns)
{
	struct pollfd set = { .fd = wait->epfd, .events = POLLIN };
	struct timespec time = wait_timespec(ns);
	int ret;

	if (wait_is_whole(ns))
		return REAL(epoll_pwait)(wait->epfd, wait->events, wait->max,
					 (int)(ns / MILLISECOND), wait->mask);
	ret = REAL(ppoll)(&set, 1, &time, wait->mask);
	return ret > 0 ? REAL(epoll_pwait)(wait->epfd, wait->events, wait->max, 0, wait->mask)
		       : ret;
}

static int wait_call_poll(const struct wait *wait, int64_t ns)
{
	struct timespec time = wait_timespec(ns);

	if (!ns && !wait->mask)
		return REAL(poll)(wait->fds, wait->n, 0);
	return REAL(ppoll)(wait->fds, wait->n, &time, wait->mask);
}

/* The sets are the caller's: what is found nothing in leaves them as they were. */
static int wait_call_select(const struct wait *wait, int64_t ns)
{
	struct timeval time = { ns / SECOND, ns % SECOND / 1000 };
	size_t bytes = ((size_t)wait->nfds + 63) / 64 * 8;
	fd_set copies[3];
	int i, ret;

	for (i = 0; i < 3; i++)
		if (wait->sets[i])
			memcpy(&copies[i], wait->sets[i], bytes);
	ret = REAL(select)(wait->nfds, wait->sets[0], wait->sets[1], wait->sets[2], &time);
	for (i = 0; ret == 0 && i < 3; i++)
		if (wait->sets[i])
			memcpy(wait->sets[i], &copies[i], bytes);
	return ret;
}

/* While other threads are at work, the wait goes on in slices; what comes is the answer. */
static int wait_in_slices(const struct wait *wait, enum ready_wait *what)
{
	int64_t left = wait->left, slice;
	int i, ret;

	for (i = 0; *what == READY_BUSY && i < READY_SLICES; i++) {
		slice = READY_SLICE(i) * 1000ll;
		if (left >= 0 && left <= slice)
			break;
		ret = wait->call(wait, slice);
		if (ret != 0)
			return ret;
		left -= left > 0 ? slice : 0;
		*what = ready_again();
	}
	return 0;
}

/* What has passed is not waited for again. */
static void wait_pass_time(struct wait *wait)
{
	uint64_t now = gcpreload_now_ns();
	int64_t passed = (int64_t)gcpreload_elapsed(wait->began_ns, now);

	if (wait->left >= 0)
		wait->left = wait->left > passed ? wait->left - passed : 0;
	wait->began_ns = now;
}

/*
 * The look may have to be waited for, as the wait would have been: what comes until then is the
 * answer, by one system call. False: no look; *ret is the answer, or where it is 0 the real call's.
 */
static bool wait_until_look(struct wait *wait, int *ret)
{
	int64_t rest = ready_rest_ns();

	*ret = 0;
	if (!rest)
		return wait->left != 0 || ready_glances();
	if (wait->epolls)
		rest = (rest + MILLISECOND - 1) / MILLISECOND * MILLISECOND;
	if (wait->left >= 0 && wait->left <= rest)
		return false;
	*ret = wait->call(wait, rest);
	wait_pass_time(wait);
	return *ret == 0;
}

/*
 * Before the real call: is something due, and if so, is there work already? Then that is the
 * answer. Else the collection, another look, and what the caller is known to take. True: *ret is
 * the answer; else the real call follows, for what is left.
 */
static bool wait_answered(struct wait *wait, enum ready_wait what, int *ret)
{
	if (what == READY_GO_ON)
		return false;
	*ret = wait_in_slices(wait, &what);
	if (*ret == 0 && what == READY_DUE) {
		*ret = wait->call(wait, 0);
		if (*ret == 0)
			what = ready_collect(wait->never_empty && wait->left == ENDLESS);
	}
	if (*ret != 0)
		return true;
	wait_pass_time(wait);
	if (what != READY_COLLECTED && what != READY_EMPTY && what != READY_INTERRUPTED)
		return false;
	*ret = wait->call(wait, 0);
	ready_woke(*ret);
	if (*ret != 0)
		return true;
	if (what == READY_INTERRUPTED) {
		errno = EINTR;
		*ret = -1;
		return true;
	}
	return what == READY_EMPTY && !(wait->never_empty && wait->left == ENDLESS);
}

static int64_t wait_ns_of_ms(int timeout)
{
	return timeout < 0 ? ENDLESS : timeout * (int64_t)MILLISECOND;
}

/* Rounded up, as the kernel does: a wait may be longer than asked for, and not shorter. */
static int wait_ms_left(const struct wait *wait)
{
	return wait->left < 0 ? -1 : (int)((wait->left + MILLISECOND - 1) / MILLISECOND);
}

int wait_epoll(int epfd, struct epoll_event *events, int max, int timeout, const void *caller)
{
	struct wait wait = { .call = wait_call_epoll,
			     .epfd = epfd,
			     .events = events,
			     .max = max,
			     .left = wait_ns_of_ms(timeout),
			     .began_ns = gcpreload_now_ns(),
			     .epolls = true };
	int ret;

	if (wait_until_look(&wait, &ret) &&
	    wait_answered(&wait, ready_at_epoll(epfd, wait.left != 0, caller), &ret))
		return ret;
	return ret ? ret : REAL(epoll_wait)(epfd, events, max, wait_ms_left(&wait));
}

int wait_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout,
		     const sigset_t *mask, const void *caller)
{
	struct wait wait = { .call = wait_call_epoll_pwait,
			     .epfd = epfd,
			     .events = events,
			     .max = max,
			     .mask = mask,
			     .left = wait_ns_of_ms(timeout),
			     .began_ns = gcpreload_now_ns(),
			     .epolls = true,
			     /* libuv asserts that a wait without a time-out does not time out. */
			     .never_empty = true };
	int ret;

	if (wait_until_look(&wait, &ret) &&
	    wait_answered(&wait, ready_at_epoll(epfd, wait.left != 0, caller), &ret))
		return ret;
	return ret ? ret : REAL(epoll_pwait)(epfd, events, max, wait_ms_left(&wait), mask);
}

int wait_poll(struct pollfd *fds, nfds_t n, int timeout, const void *caller)
{
	struct wait wait = { .call = wait_call_poll,
			     .fds = fds,
			     .n = n,
			     .left = wait_ns_of_ms(timeout),
			     .began_ns = gcpreload_now_ns() };
	int ret;

	if (wait_until_look(&wait, &ret) && wait_can_read_all(fds, ready_reads(n) * sizeof *fds) &&
	    wait_answered(&wait, ready_at_poll(fds, n, wait.left != 0, caller), &ret))
		return ret;
	return ret ? ret : REAL(poll)(fds, n, wait_ms_left(&wait));
}

static int64_t wait_ns_of(const struct timespec *timeout)
{
	if (!timeout)
		return ENDLESS;
	if (timeout->tv_sec < 0 || timeout->tv_sec >= INT_MAX)
		return timeout->tv_sec < 0 ? 0 : INT_MAX * SECOND;
	return timeout->tv_sec * SECOND + timeout->tv_nsec;
}

int wait_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
	       const void *caller)
{
	struct wait wait = { .call = wait_call_poll, .fds = fds, .n = n, .mask = mask };
	struct timespec left;
	int64_t whole;
	int ret;

	if (!wait_can_read_all(fds, ready_reads(n) * sizeof *fds) ||
	    (timeout && !wait_can_read_all(timeout, sizeof *timeout)))
		return REAL(ppoll)(fds, n, timeout, mask);
	wait.began_ns = gcpreload_now_ns();
	wait.left = whole = wait_ns_of(timeout);
	if (wait_until_look(&wait, &ret) &&
	    wait_answered(&wait, ready_at_poll(fds, n, wait.left != 0, caller), &ret))
		return ret;
	if (ret)
		return ret;
	if (wait.left == whole)
		return REAL(ppoll)(fds, n, timeout, mask);
	left = wait_timespec(wait.left);
	return REAL(ppoll)(fds, n, &left, mask);
}

/* The kernel writes what is left of the time-out (select(2)). */
static void wait_tell_left(struct timeval *timeout, int64_t left)
{
	if (timeout)
		*timeout = (struct timeval){ left / SECOND, left % SECOND / 1000 };
}

int wait_select(int nfds, fd_set *reads, fd_set *writes, fd_set *excepts, struct timeval *timeout,
		const void *caller)
{
	static struct timeval none;
	fd_set *const sets[3] = { reads, writes, excepts };
	size_t bytes = nfds > 0 ? ((size_t)nfds + 63) / 64 * 8 : 0;
	struct wait wait = { .call = wait_call_select, .nfds = nfds, .sets = sets };
	bool answered;
	int64_t whole;
	int ret, i;

	for (i = 0; i < 3; i++)
		if (sets[i] && !wait_can_read_all(sets[i], bytes))
			return REAL(select)(nfds, reads, writes, excepts, timeout);
	/* Only sets of up to FD_SETSIZE descriptors are looked at. */
	if (nfds <= 0 || nfds > FD_SETSIZE ||
	    (timeout &&
	     (!wait_can_read_all(timeout, sizeof *timeout) || timeout->tv_sec < 0 ||
	      timeout->tv_sec >= INT_MAX || timeout->tv_usec < 0 || timeout->tv_usec >= 1000000)))
		return REAL(select)(nfds, reads, writes, excepts, timeout);
	wait.began_ns = gcpreload_now_ns();
	wait.left = whole = timeout ? timeout->tv_sec * SECOND + timeout->tv_usec * 1000 : ENDLESS;
	answered = wait_until_look(&wait, &ret) &&
		   wait_answered(&wait, ready_at_select(nfds, reads, wait.left != 0, caller), &ret);
	if (wait.left != whole)
		wait_tell_left(timeout, wait.left);
	if (ret)
		return ret;
	if (!answered)
		return REAL(select)(nfds, reads, writes, excepts, timeout);
	/* Its time seems to have passed: the kernel empties the sets. */
	wait_tell_left(timeout, 0);
	return REAL(select)(nfds, reads, writes, excepts, &none);
}

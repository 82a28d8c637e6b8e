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
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "preload/forks.h"
#include "preload/home_calls.h"
#include "preload/home_wait.h"
#include "preload/look.h"
#include "preload/ready.h"
#include "preload/real.h"
#include "preload/wait.h"

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

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

	if (ret == 0) {
		home_wait_looks_for_server();
		ready_listened(fd);
	}
	return ret;
}

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	int ret;

	if (op != EPOLL_CTL_ADD || !(look_at_calls() || look_may_listen(fd)))
		return REAL(epoll_ctl)(epfd, op, fd, event);
	ret = REAL(epoll_ctl)(epfd, op, fd, event);
	if (ret == 0)
		ready_epoll_add(epfd, fd, CALLER);
	return ret;
}

/* libuv waits by epoll_pwait; its set may have been filled by io_uring. */
EXPORT int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)
{
	if (HOME_TAKES(HOME_EPOLL, timeout != 0, CALLER))
		return home_epoll(epfd, events, max, timeout);
	if (!look_at_waits(LOOK_EPOLL) || !ready_looks_at(epfd, LOOK_EPOLL))
		return REAL(epoll_wait)(epfd, events, max, timeout);
	return wait_epoll(epfd, events, max, timeout, CALLER);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout,
		       const sigset_t *mask)
{
	if (!look_at_waits(LOOK_EPOLL) || !ready_looks_at(epfd, LOOK_EPOLL))
		return REAL(epoll_pwait)(epfd, events, max, timeout, mask);
	return wait_epoll_pwait(epfd, events, max, timeout, mask, CALLER);
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (HOME_TAKES(HOME_POLL, timeout != 0, CALLER))
		return home_poll(fds, n, timeout);
	if (!look_at_waits(LOOK_POLL) || !ready_looks_at(-1, LOOK_POLL))
		return REAL(poll)(fds, n, timeout);
	return wait_poll(fds, n, timeout, CALLER);
}

/* What is too large for its array ends the program in the real function. */
static bool poll_fits(nfds_t n, size_t size)
{
	return size / sizeof(struct pollfd) >= n;
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (!look_at_waits(LOOK_POLL) || !poll_fits(n, size) || !ready_looks_at(-1, LOOK_POLL))
		return REAL(__poll_chk)(fds, n, timeout, size);
	return wait_poll(fds, n, timeout, CALLER);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	if (!look_at_waits(LOOK_POLL) || !ready_looks_at(-1, LOOK_POLL))
		return REAL(ppoll)(fds, n, timeout, mask);
	return wait_ppoll(fds, n, timeout, mask, CALLER);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		       const sigset_t *mask, size_t size)
{
	if (!look_at_waits(LOOK_POLL) || !poll_fits(n, size) || !ready_looks_at(-1, LOOK_POLL))
		return REAL(__ppoll_chk)(fds, n, timeout, mask, size);
	return wait_ppoll(fds, n, timeout, mask, CALLER);
}

EXPORT int select(int nfds, fd_set *reads, fd_set *writes, fd_set *excepts, struct timeval *timeout)
{
	if (HOME_TAKES(HOME_SELECT, nfds >= 0 && nfds <= FD_SETSIZE, CALLER))
		return home_select(nfds, reads, writes, excepts, timeout);
	if (!look_at_waits(LOOK_SELECT) || !ready_looks_at(-1, LOOK_SELECT))
		return REAL(select)(nfds, reads, writes, excepts, timeout);
	return wait_select(nfds, reads, writes, excepts, timeout, CALLER);
}

/* How many connections a process took tells what its collections were for: one relaxed addition,
 * and the return above, which a connection costs a thousand times. */
static int accept_counted(int fd)
{
	if (fd < 0)
		return fd;
	add_relaxed(&gcpreload_self->accepted, 1);
	if (load_acquire(&look_counts_accepts))
		ready_accepted();
	return fd;
}

#define NO_FLAGS	(-1) /* accept(2) */
#define ACCEPT_EVERY_NS 1000000ull

/* One that does not block takes no look from the waits, so that it would be looked at each time
 * until one comes, a system call more. */
static __thread uint64_t accept_next_ns __attribute__((tls_model("initial-exec")));

/* An accept that does not block is no wait, and one that found nothing says nothing of who serves:
 * a loop may try it before it waits by epoll. One that found a connection is a server's, which may
 * never wait at all while there are more. Where the interpreter is interrupted, it looks at its
 * signals, which may have come during the collection, and calls again (PEP 475). */
static int accept_looking(int fd, struct sockaddr *address, socklen_t *length, int flags,
			  const void *caller)
{
	bool blocks = ready_accept_blocks(fd);
	int ret;

	if (blocks && ready_at_accept(fd, caller)) {
		errno = EINTR;
		return -1;
	}
	ret = flags == NO_FLAGS ? REAL(accept)(fd, address, length)
				: REAL(accept4)(fd, address, length, flags);
	if (!blocks) {
		accept_next_ns = look_coarse_now() + ACCEPT_EVERY_NS;
		if (ret >= 0)
			ready_at_accept(fd, caller);
	}
	return accept_counted(ret);
}

static bool accept_looks(void)
{
	uint64_t now;

	if (look_at_calls())
		return true;
	now = look_coarse_now();
	return now >= accept_next_ns && look_is_due(LOOK_ACCEPT, now);
}

EXPORT int accept(int fd, struct sockaddr *address, socklen_t *length)
{
	if (look_is_off())
		return REAL(accept)(fd, address, length);
	if (accept_looks())
		return accept_looking(fd, address, length, NO_FLAGS, CALLER);
	return accept_counted(REAL(accept)(fd, address, length));
}

EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	if (look_is_off())
		return REAL(accept4)(fd, address, length, flags);
	if (accept_looks() && flags >= 0)
		return accept_looking(fd, address, length, flags, CALLER);
	return accept_counted(REAL(accept4)(fd, address, length, flags));
}

EXPORT pid_t fork(void)
{
	pid_t pid;

	forks_begin();
	pid = REAL(fork)();
	forks_end(pid);
	return pid;
}

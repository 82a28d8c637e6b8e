/* SPDX-License-Identifier: MIT */
/*
 * Of the closed set: calls that wait, and for no set of descriptors. They are looked at only where
 * the home wait is (preload/home_wait); any other process pays one load for each.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/home_calls.h"
#include "preload/home_wait.h"
#include "preload/real.h"

#define EXPORT __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

/* The slow half is a function of its own: the fast one saves no registers. */
#define SLOW __attribute__((noinline)) static

#define MAY_BE(call) __builtin_expect(load_relaxed(&look_at_home) & 1u << (call), 0)

/* real_call: what is made of it unless it is interrupted. */
#define LOOKING(call, fd, real_call)                                                               \
	({                                                                                         \
		ssize_t ret_ = home_read_interrupted(call, fd) ? -1 : (real_call);                 \
                                                                                                   \
		home_wait_ended();                                                                 \
		ret_;                                                                              \
	})

SLOW ssize_t read_looking(int fd, void *buffer, size_t size, const void *caller)
{
	__typeof__(real.read) read_ = real_get(read);

	/* Another library's malloc may read before our constructor, and dlsym may call malloc. */
	if (!read_)
		return syscall(SYS_read, fd, buffer, size);
	if (!HOME_TAKES(HOME_READ, size > 0, caller))
		return read_(fd, buffer, size);
	return LOOKING(HOME_READ, fd, read_(fd, buffer, size));
}

EXPORT ssize_t read(int fd, void *buffer, size_t size)
{
	__typeof__(real.read) read_ = real_get(read);

	if (__builtin_expect(!read_, 0) || MAY_BE(HOME_READ))
		return read_looking(fd, buffer, size, CALLER);
	return read_(fd, buffer, size);
}

SLOW ssize_t recv_looking(int fd, void *buffer, size_t size, int flags, const void *caller)
{
	if (!HOME_TAKES(HOME_RECEIVE, size > 0 && !flags, caller))
		return REAL(recv)(fd, buffer, size, flags);
	return LOOKING(HOME_RECEIVE, fd, REAL(recv)(fd, buffer, size, flags));
}

EXPORT ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
	if (MAY_BE(HOME_RECEIVE))
		return recv_looking(fd, buffer, size, flags, CALLER);
	return REAL(recv)(fd, buffer, size, flags);
}

SLOW ssize_t recvfrom_looking(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
			      socklen_t *length, const void *caller)
{
	if (!HOME_TAKES(HOME_RECEIVE, size > 0 && !flags, caller))
		return REAL(recvfrom)(fd, buffer, size, flags, from, length);
	return LOOKING(HOME_RECEIVE, fd, REAL(recvfrom)(fd, buffer, size, flags, from, length));
}

EXPORT ssize_t recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *from,
			socklen_t *length)
{
	if (MAY_BE(HOME_RECEIVE))
		return recvfrom_looking(fd, buffer, size, flags, from, length, CALLER);
	return REAL(recvfrom)(fd, buffer, size, flags, from, length);
}

/* time.sleep() from 3.11 on. */
EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
			   struct timespec *left)
{
	if (!HOME_TAKES(HOME_SLEEP, clock == CLOCK_MONOTONIC && flags == TIMER_ABSTIME, CALLER))
		return REAL(clock_nanosleep)(clock, flags, time, left);
	return home_sleep(time);
}

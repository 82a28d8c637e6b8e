/* SPDX-License-Identifier: MIT */
/*
 * Calls that may be the home wait (preload/home_wait), made in two parts: they wait a little, then
 * a collection may run, then comes the real call for the time that is left. Results and errno are
 * those of the real ones. Only after home_calls_begin: pointers are the interpreter's own, which
 * are right.
 */
#ifndef GCPRELOAD_PRELOAD_HOME_CALLS_H
#define GCPRELOAD_PRELOAD_HOME_CALLS_H

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>

#include "preload/home.h"
#include "preload/look.h"

/* Whether the wait that begins, by the code at caller, is made by one of the others here. */
bool home_calls_begin(enum home_call call, const void *caller);

int home_epoll(int epfd, struct epoll_event *events, int max, int timeout);
int home_poll(struct pollfd *fds, nfds_t n, int timeout);
int home_select(int nfds, fd_set *reads, fd_set *writes, fd_set *excepts, struct timeval *timeout);

/* clock_nanosleep(2) of CLOCK_MONOTONIC until a time. */
int home_sleep(const struct timespec *until);

/* Before a call that takes what comes in from fd. True: it says EINTR instead, as errno does
 * already. home_wait_ended() comes after either. */
bool home_read_interrupted(enum home_call call, int fd);

/* What each interposed call that may wait asks first: one load, where there is no home. */
#define HOME_TAKES(call, blocks, caller)                                                           \
	(look_is_for_home(1u << (call)) && (blocks) && home_calls_begin(call, caller))

#endif

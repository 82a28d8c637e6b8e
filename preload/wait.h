/* SPDX-License-Identifier: MIT */
/*
 * The waits, where something is looked at: the slow halves of the interposed functions. Same
 * results and same errno as the real ones; the time that something of ours took is part of the
 * time-out. caller: the return address of the interposed call.
 */
#ifndef GCPRELOAD_PRELOAD_WAIT_H
#define GCPRELOAD_PRELOAD_WAIT_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

int wait_epoll(int epfd, struct epoll_event *events, int max, int timeout, const void *caller);
int wait_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout,
		     const sigset_t *mask, const void *caller);
int wait_poll(struct pollfd *fds, nfds_t n, int timeout, const void *caller);
int wait_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
	       const void *caller);
int wait_select(int nfds, fd_set *reads, fd_set *writes, fd_set *excepts, struct timeval *timeout,
		const void *caller);

#endif

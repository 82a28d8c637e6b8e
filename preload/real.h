/* SPDX-License-Identifier: MIT */
/* The functions behind the ones we export. */
#ifndef GCPRELOAD_PRELOAD_REAL_H
#define GCPRELOAD_PRELOAD_REAL_H

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/shared.h"

#define REAL_FUNCTIONS(F)                                                                          \
	F(int, listen, (int, int))                                                                 \
	F(int, accept, (int, struct sockaddr *, socklen_t *))                                      \
	F(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                \
	F(int, epoll_ctl, (int, int, int, struct epoll_event *))                                   \
	F(int, epoll_wait, (int, struct epoll_event *, int, int))                                  \
	F(int, epoll_pwait, (int, struct epoll_event *, int, int, const sigset_t *))               \
	F(int, poll, (struct pollfd *, nfds_t, int))                                               \
	F(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))        \
	F(int, __poll_chk, (struct pollfd *, nfds_t, int, size_t))                                 \
	F(int, __ppoll_chk,                                                                        \
	  (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t))            \
	F(ssize_t, read, (int, void *, size_t))                                                    \
	F(ssize_t, recv, (int, void *, size_t, int))                                               \
	F(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))           \
	F(int, clock_nanosleep, (clockid_t, int, const struct timespec *, struct timespec *))      \
	F(pid_t, fork, (void))                                                                     \
	F(int, select, (int, fd_set *, fd_set *, fd_set *, struct timeval *))

struct real {
#define F(type, name, args) type(*name) args;
	REAL_FUNCTIONS(F)
#undef F
};

extern struct real real;

/* Finds them all. Our constructor calls it; an interposed function does so only when another
 * library's constructor calls it before ours has run. All of them are in glibc 2.17. */
void real_resolve(void);

/* The real function, wherever we are in the program's start. Two threads that find none at once
 * write the same. */
#define REAL(name)                                                                                 \
	({                                                                                         \
		__typeof__(real.name) name##_ = real_get(name);                                    \
		if (__builtin_expect(!name##_, 0)) {                                               \
			real_resolve();                                                            \
			name##_ = real_get(name);                                                  \
		}                                                                                  \
		name##_;                                                                           \
	})
#define real_get(name) load_relaxed(&real.name)

#endif

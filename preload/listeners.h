/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets of this process: which of its threads made one, whether anybody here waits
 * on it, and which epoll set holds it. Every function keeps errno.
 */
#ifndef GCPRELOAD_PRELOAD_LISTENERS_H
#define GCPRELOAD_PRELOAD_LISTENERS_H

#include <stdbool.h>

/* In a forked child: none is known. */
void listeners_begin_process(void);

/* listen(fd) succeeded here. */
void listeners_add(int fd, bool main_thread);

/* A thread of this process waits on it: it is no socket for workers. */
void listeners_waited_on(int fd);

/* Whether fd is a listening socket that may be a server's. Two system calls. */
bool listeners_serves(int fd);

/* Whether fd was one, as far as is known here. */
bool listeners_known(int fd);

/* Whether the epoll set holds fd, a listening socket. One system call, or two where it does not. */
bool listeners_in_set(int epfd, int fd);

/* A listener, of the main thread's or of another's, that the epoll set holds, or -1. */
int listeners_of_set(int epfd, bool main_thread);

/* One that the epoll set holds besides that, or -1. */
int listeners_another_in_set(int epfd, int but);

/* Whether there is one that was made by the main thread, or before this program began, and that
 * nobody here waits on: this process is the parent of those who will. */
bool listeners_for_workers(void);

#endif

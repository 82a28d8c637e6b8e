/* SPDX-License-Identifier: MIT */
/*
 * Who waits on which listening socket in this process: threads that *armed* one (added it to an
 * epoll set, polled, selected or accepted on it), and by whose code. Every function keeps errno.
 */
#ifndef GCPRELOAD_PRELOAD_SERVERS_H
#define GCPRELOAD_PRELOAD_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/caller.h"
#include "preload/look.h"

/* A listener in another thread than the main one counts after so long. */
#define SERVERS_HELPER_SETTLES_NS 10000000000ull

struct server;

/* In a forked child: there is none. */
void servers_begin_process(void);

/* The calling thread waits on fd, or on the epoll set (-1: none) that holds it: from now on it is a
 * server. A set with several listeners is one server, by the first of them that lives. caller: the
 * code that waits. */
const struct server *servers_arm(int epoll, int fd, enum look_call call, const void *caller);

/* The server whose wait this is, or NULL: the same thread and code as when it armed, on the same
 * set or socket, which still is what it was. fd counts where there is no set. */
const struct server *servers_at(int epoll, int fd, enum look_call call, const void *caller);

/* Whether a wait of the calling thread may be a server's, or the helper's: without a system call,
 * and without a look at what it waits for. Where a thread waits for its sockets by select, its
 * polls are not the server's. */
bool servers_may_wait(int epoll, enum look_call call);

/* The calls by which the calling thread waits for its sockets, if it is a server, or the helper. */
unsigned servers_calls(void);

/* Those of the calling thread whose socket, waited on directly, is closed are no more. */
void servers_end_closed(void);

enum caller_kind servers_code(const struct server *server);

/* Whether a thread of this process waits on a listening socket. */
bool servers_any(void);

/*
 * The helper: a listener of another thread, one at most. A metrics server that the application
 * starts while it still imports is not its readiness; a server that runs in a thread for good is.
 */

/* Takes note of one, if none that lives is known yet and the thread can be Python's. One that was
 * only seen to accept is known better by the set that it waits on. */
bool servers_arm_helper(int epoll, int fd, enum look_call call, const void *caller);

/* Whether this is its wait; as servers_at. */
bool servers_helper_at(int epoll, int fd, enum look_call call, const void *caller);

/* At its wait: whether it has waited for SERVERS_HELPER_SETTLES_NS, and no module was imported
 * meanwhile. */
bool servers_helper_settled(void);

int servers_helper_socket(void);

#endif

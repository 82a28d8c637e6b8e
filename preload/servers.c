/* SPDX-License-Identifier: MIT */
#include "preload/servers.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "base/shared.h"
#include "inject/inject.h"
#include "preload/listeners.h"
#include "preload/look.h"

#define SERVERS 8

struct server {
	bool set;  /* written last */
	int epoll; /* -1: waited on directly */
	int fd;
	pthread_t thread;
	struct caller by;
};

/* Of this process. A server is written by the thread that arms it, and read by every thread that
 * waits, which takes only what is its own. */
static struct {
	struct server servers[SERVERS];
	unsigned next;
	struct server helper;
	uint64_t helper_since_ns;
	int64_t helper_modules; /* -1: not asked yet */
} here;

void servers_begin_process(void)
{
	int i;

	for (i = 0; i < SERVERS; i++)
		store_relaxed(&here.servers[i].set, false);
	store_relaxed(&here.helper.set, false);
	store_relaxed(&here.next, 0);
}

static void server_note_code(struct server *server, const struct caller *by)
{
	store_relaxed(&server->by.kind, by->kind);
	store_relaxed(&server->by.low, by->low);
	store_relaxed(&server->by.high, by->high);
}

static void server_write(struct server *server, int epoll, int fd, const struct caller *by)
{
	store_relaxed(&server->set, false);
	store_relaxed(&server->epoll, epoll);
	store_relaxed(&server->fd, fd);
	store_relaxed(&server->thread, pthread_self());
	server_note_code(server, by);
	store_release(&server->set, true);
	listeners_waited_on(fd);
}

/* Only its own thread asks, which is the one that may write its code anew. */
static bool server_is_code(struct server *server, const void *caller)
{
	struct caller by = { .kind = load_relaxed(&server->by.kind),
			     .low = load_relaxed(&server->by.low),
			     .high = load_relaxed(&server->by.high) };

	if (caller_is_at(&by, caller))
		return true;
	if (!caller_is_same(&by, caller))
		return false;
	server_note_code(server, &by);
	return true;
}

/* The number of a set or socket may have become another thing's: a driver's, waited on under its
 * mutex. So the code must be the same, the socket must listen, and the set must hold it. */
static bool server_waits_on(struct server *server, int epoll, int fd, const void *caller)
{
	int armed;

	if (!load_acquire(&server->set) || load_relaxed(&server->epoll) != epoll)
		return false;
	armed = load_relaxed(&server->fd);
	if ((epoll < 0 && armed != fd) ||
	    !pthread_equal(load_relaxed(&server->thread), pthread_self()) ||
	    !server_is_code(server, caller))
		return false;
	if (!listeners_serves(armed)) {
		store_relaxed(&server->set, false);
		return false;
	}
	return epoll < 0 || listeners_in_set(epoll, armed);
}

const struct server *servers_at(int epoll, int fd, const void *caller)
{
	int i;

	for (i = 0; i < SERVERS; i++)
		if (server_waits_on(&here.servers[i], epoll, fd, caller))
			return &here.servers[i];
	return NULL;
}

/* Whether this thread serves without a set, by a socket that this set holds. */
static bool server_is_direct_in(const struct server *server, int epoll)
{
	return epoll >= 0 && load_acquire(&server->set) && load_relaxed(&server->epoll) < 0 &&
	       pthread_equal(load_relaxed(&server->thread), pthread_self()) &&
	       listeners_in_set(epoll, load_relaxed(&server->fd));
}

bool servers_any(void)
{
	int i;

	for (i = 0; i < SERVERS; i++)
		if (load_relaxed(&here.servers[i].set))
			return true;
	return false;
}

enum caller_kind servers_code(const struct server *server)
{
	return load_relaxed(&server->by.kind);
}

/* The place of the same set or socket, of one that is closed, or of the oldest. */
static struct server *server_place_for(int epoll, int fd)
{
	struct server *server, *closed = NULL;
	int i;

	for (i = 0; i < SERVERS; i++) {
		server = &here.servers[i];
		if (load_acquire(&server->set) && load_relaxed(&server->epoll) == epoll &&
		    load_relaxed(&server->fd) == fd)
			return server;
		if (!load_relaxed(&server->set) || !listeners_serves(load_relaxed(&server->fd)))
			closed = server;
	}
	return closed ? closed : &here.servers[add_relaxed(&here.next, 1) % SERVERS];
}

const struct server *servers_arm(int epoll, int fd, const void *caller)
{
	struct server *server = server_place_for(epoll, fd);
	struct caller by = caller_at(caller);

	server_write(server, epoll, fd, &by);
	return server;
}

bool servers_arm_helper(int epoll, int fd, const void *caller)
{
	struct caller by;
	bool known;

	if (!listeners_serves(fd))
		return false;
	listeners_waited_on(fd);
	known = load_acquire(&here.helper.set) && listeners_serves(load_relaxed(&here.helper.fd));
	if ((known && !server_is_direct_in(&here.helper, epoll)) ||
	    gcpreload_inject_gil() == GCPRELOAD_GIL_FOREIGN)
		return false;
	by = caller_at(caller);
	if (by.kind == CALLER_LIBRARY)
		return false;
	if (!known) {
		store_relaxed(&here.helper_since_ns, look_coarse_now());
		store_relaxed(&here.helper_modules, -1);
	}
	server_write(&here.helper, epoll, fd, &by);
	return true;
}

bool servers_helper_at(int epoll, int fd, const void *caller)
{
	return server_waits_on(&here.helper, epoll, fd, caller);
}

bool servers_helper_settled(void)
{
	uint64_t now = look_coarse_now(), since = load_relaxed(&here.helper_since_ns);
	int64_t modules, before = load_relaxed(&here.helper_modules);

	if (before >= 0 && gcpreload_elapsed(since, now) < SERVERS_HELPER_SETTLES_NS)
		return false;
	modules = gcpreload_inject_modules();
	if (modules < 0)
		return false;
	if (modules == before)
		return true;
	store_relaxed(&here.helper_modules, modules);
	store_relaxed(&here.helper_since_ns, now);
	return false;
}

int servers_helper_socket(void)
{
	return load_relaxed(&here.helper.fd);
}

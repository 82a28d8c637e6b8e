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
	unsigned calls; /* how it was seen to wait, of enum look_call; 0: not yet */
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

static void server_write(struct server *server, int epoll, int fd, enum look_call call,
			 const struct caller *by)
{
	store_relaxed(&server->set, false);
	store_relaxed(&server->epoll, epoll);
	store_relaxed(&server->fd, fd);
	store_relaxed(&server->calls, call);
	store_relaxed(&server->thread, pthread_self());
	server_note_code(server, by);
	store_release(&server->set, true);
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

static bool server_is_of_thread(const struct server *server)
{
	return load_acquire(&server->set) &&
	       pthread_equal(load_relaxed(&server->thread), pthread_self());
}

/* It is gone, and which wait is the server's now is not known: one for another socket, perhaps. */
static void server_ends(struct server *server)
{
	store_relaxed(&server->set, false);
	look_from_now_on(LOOK_ALWAYS);
	look_at_once();
}

/* Where its listener was closed, or taken out of the set, another that is in it stands for it. */
static bool server_set_holds(struct server *server, int epoll)
{
	int armed = load_relaxed(&server->fd), other;
	bool serves = listeners_serves(armed);

	if (serves && listeners_in_set(epoll, armed))
		return true;
	other = listeners_another_in_set(epoll, armed);
	if (other >= 0)
		store_relaxed(&server->fd, other);
	else if (!serves)
		server_ends(server);
	return other >= 0;
}

/* The number of a set or socket may have become another thing's: a driver's, waited on under its
 * mutex. So the code must be the same, the socket must listen, and the set must hold it. */
static bool server_waits_on(struct server *server, int epoll, int fd, enum look_call call,
			    const void *caller)
{
	if (load_relaxed(&server->epoll) != epoll || !server_is_of_thread(server) ||
	    (epoll < 0 && load_relaxed(&server->fd) != fd) || !server_is_code(server, caller))
		return false;
	if (epoll >= 0)
		return server_set_holds(server, epoll);
	if (!listeners_serves(fd)) {
		server_ends(server);
		return false;
	}
	store_relaxed(&server->calls, load_relaxed(&server->calls) | call);
	return true;
}

const struct server *servers_at(int epoll, int fd, enum look_call call, const void *caller)
{
	int i;

	for (i = 0; i < SERVERS; i++)
		if (server_waits_on(&here.servers[i], epoll, fd, call, caller))
			return &here.servers[i];
	return NULL;
}

/* The calls by which this server waits; 0: it is another thread's. */
static unsigned server_calls(const struct server *server)
{
	unsigned calls;

	if (!server_is_of_thread(server))
		return 0;
	if (load_relaxed(&server->epoll) >= 0)
		return LOOK_EPOLL;
	calls = load_relaxed(&server->calls);
	return calls ? calls : LOOK_POLL | LOOK_SELECT;
}

static bool server_may_wait(const struct server *server, int epoll, enum look_call call)
{
	return load_relaxed(&server->epoll) == epoll && server_calls(server) & call;
}

/* While the main thread serves, the helper is nobody. */
bool servers_may_wait(int epoll, enum look_call call)
{
	int i;

	for (i = 0; i < SERVERS; i++)
		if (server_may_wait(&here.servers[i], epoll, call))
			return true;
	return server_may_wait(&here.helper, epoll, call) && !servers_any();
}

unsigned servers_calls(void)
{
	unsigned calls = servers_any() ? 0 : server_calls(&here.helper);
	int i;

	for (i = 0; i < SERVERS; i++)
		calls |= server_calls(&here.servers[i]);
	return calls;
}

void servers_end_closed(void)
{
	struct server *server;
	int i;

	for (i = 0; i < SERVERS; i++) {
		server = &here.servers[i];
		if (server_is_of_thread(server) && load_relaxed(&server->epoll) < 0 &&
		    !listeners_serves(load_relaxed(&server->fd)))
			server_ends(server);
	}
}

/* Whether this thread serves without a set, by a socket that this set holds. */
static bool server_is_direct_in(const struct server *server, int epoll)
{
	return epoll >= 0 && load_relaxed(&server->epoll) < 0 && server_is_of_thread(server) &&
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

static bool server_is_at(const struct server *server, int epoll, int fd)
{
	return load_acquire(&server->set) && load_relaxed(&server->epoll) == epoll &&
	       (epoll >= 0 || load_relaxed(&server->fd) == fd);
}

/* The place of the same set or socket, of one that is closed, or of the oldest. */
static struct server *server_place_for(int epoll, int fd)
{
	struct server *server, *closed = NULL;
	int i;

	for (i = 0; i < SERVERS; i++) {
		server = &here.servers[i];
		if (server_is_at(server, epoll, fd))
			return server;
		if (!load_relaxed(&server->set) || !listeners_serves(load_relaxed(&server->fd)))
			closed = server;
	}
	return closed ? closed : &here.servers[add_relaxed(&here.next, 1) % SERVERS];
}

/* Of several in a set the first stays: others may be there for a moment. */
static int server_socket_for(const struct server *server, int epoll, int fd)
{
	int armed = load_relaxed(&server->fd);

	if (epoll >= 0 && server_is_at(server, epoll, fd) && listeners_serves(armed) &&
	    listeners_in_set(epoll, armed))
		return armed;
	return fd;
}

const struct server *servers_arm(int epoll, int fd, enum look_call call, const void *caller)
{
	struct server *server = server_place_for(epoll, fd);
	struct caller by = caller_at(caller);

	server_write(server, epoll, server_socket_for(server, epoll, fd), call, &by);
	listeners_waited_on(fd);
	return server;
}

bool servers_arm_helper(int epoll, int fd, enum look_call call, const void *caller)
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
	server_write(&here.helper, epoll, fd, call, &by);
	return true;
}

bool servers_helper_at(int epoll, int fd, enum look_call call, const void *caller)
{
	return server_waits_on(&here.helper, epoll, fd, call, caller);
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

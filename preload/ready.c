/* SPDX-License-Identifier: MIT */
#include "preload/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/shared.h"
#include "engine/engine.h"
#include "inject/inject.h"
#include "preload/agenda.h"
#include "preload/entry.h"
#include "preload/home_wait.h"
#include "preload/late.h"
#include "preload/listeners.h"
#include "preload/look.h"

/* Until the process is ready; then others' waits, and those of the server that do not block. */
#define LOOK_EVERY_NS	1000000ull
#define OTHERS_EVERY_NS 1000000000ull
#define GLANCE_EVERY_NS 100000000ull

/* Of the calling thread. */
static __thread struct {
	uint64_t rest_ns; /* until the look */
	bool asks;	  /* what is not known yet may be armed */
	bool interpreter;
	bool restarts;
} this_wait __attribute__((tls_model("initial-exec")));

/* ------------------------------------------------------------------ when is a wait looked at? */

/* The calling thread's server looks now; when next? Not for one that does not block, which is no
 * chance, and must not take the look from the one that follows (gunicorn accepts before it
 * selects). What will be due by then is waited for, so that no wait may go by unseen. */
static void ready_looked(bool blocks)
{
	uint64_t every;

	if (!blocks && gcpreload_engine_wants_chances())
		return;
	every = look_at_calls() ? LOOK_EVERY_NS : gcpreload_engine_looks_every();
	look_times.calls = servers_calls();
	look_times.server_ns = gcpreload_now_ns() + every;
	look_times.next_ns =
	    gcpreload_engine_expects_ns() <= look_times.server_ns ? 0 : look_times.server_ns;
}

/* A wait that is not known to be a server's: which it becomes while the process is not ready, or by
 * a call that the server did not make so far. */
static bool ready_asks_others(void)
{
	return look_coarse_now() >= look_times.other_ns ||
	       (look_at_calls() && load_relaxed(&look_urgent));
}

/* What the server was only seen to accept by does not wait for that (look_times.calls is not
 * written before its first look): it would never be its turn where another wait comes first each
 * time. */
static void ready_asked_others(void)
{
	look_times.calls = servers_calls();
	look_times.other_ns =
	    look_coarse_now() + (look_at_calls() ? LOOK_EVERY_NS : OTHERS_EVERY_NS);
}

bool ready_glances(void)
{
	uint64_t now;

	if (load_relaxed(&look_urgent) || !gcpreload_engine_wants_chances())
		return true;
	now = look_coarse_now();
	if (now < look_times.glance_ns)
		return false;
	look_times.glance_ns = now + (look_at_calls() ? LOOK_EVERY_NS : GLANCE_EVERY_NS);
	return true;
}

/* One of the server's that comes too early. */
static bool ready_comes_early(uint64_t now)
{
	uint64_t rest = gcpreload_elapsed(now, look_times.server_ns);

	if (rest > gcpreload_engine_looks_every()) /* a clock that was set back */
		return true;
	this_wait.rest_ns = rest;
	return gcpreload_engine_expects_ns() <= look_times.server_ns;
}

bool ready_looks_at(int epfd, enum look_call call)
{
	int saved_errno = errno;
	uint64_t now;
	bool yes = true;

	this_wait.rest_ns = 0;
	entry_begin_if_new();
	if (!servers_may_wait(epfd, call)) {
		yes = this_wait.asks = ready_asks_others();
	} else {
		this_wait.asks = look_at_calls() && ready_asks_others();
		now = load_relaxed(&look_urgent) ? UINT64_MAX : gcpreload_now_ns();
		if (now < look_times.server_ns)
			yes = ready_comes_early(now);
	}
	errno = saved_errno;
	return yes;
}

int64_t ready_rest_ns(void)
{
	return (int64_t)this_wait.rest_ns;
}

/* ------------------------------------------------------------------ what is done there */

/* Whose waits are no place to act in is ready all the same: what is due is done elsewhere, once the
 * socket has not turned out to be a driver's own while the application was still being loaded. */
static const struct server *ready_arm(int epoll, int fd, enum look_call call, const char *how,
				      const void *caller)
{
	const struct server *server = servers_arm(epoll, fd, call, caller);

	look_at_once();
	if (servers_code(server) == CALLER_LIBRARY) {
		agenda_fire_elsewhere(TRIGGER_AUTO, how, SERVERS_HELPER_SETTLES_NS);
	} else {
		look_soon();
		agenda_fire(TRIGGER_AUTO, how);
	}
	return server;
}

static enum ready_wait ready_chance(bool again)
{
	static const enum ready_wait means[] = {
		[GCPRELOAD_CHANCE_NONE] = READY_GO_ON,
		[GCPRELOAD_CHANCE_DUE] = READY_DUE,
		[GCPRELOAD_CHANCE_BUSY] = READY_BUSY,
	};

	return means[gcpreload_engine_chance(again)];
}

enum ready_wait ready_again(void)
{
	int saved_errno = errno;
	enum ready_wait what = ready_chance(true);

	errno = saved_errno;
	return what;
}

static enum ready_wait ready_after(enum gcpreload_acted acted)
{
	static const enum ready_wait means[] = {
		[GCPRELOAD_AFTER_GO_ON] = READY_COLLECTED,
		[GCPRELOAD_AFTER_EMPTY] = READY_EMPTY,
		[GCPRELOAD_AFTER_INTERRUPTED] = READY_INTERRUPTED,
	};
	enum gcpreload_after how = gcpreload_inject_wait_ends(this_wait.restarts);

	return acted == GCPRELOAD_ACTED_COLLECTED ? means[how] : READY_GO_ON;
}

/* This wait is a place to act. */
static enum ready_wait ready_acts(enum caller_kind code, bool blocks, bool restarts)
{
	enum gcpreload_acted acted;
	enum ready_wait what;

	if (load_acquire(&look_urgent))
		store_relaxed(&look_urgent, 0);
	this_wait.interpreter = code == CALLER_INTERPRETER;
	this_wait.restarts = restarts;
	gcpreload_inject_wait_begins(this_wait.interpreter);
	acted = agenda_at_wait();
	what = ready_after(acted);
	if (acted == GCPRELOAD_ACTED_NOT && !late_attach())
		look_from_now_on(late_given_up() ? LOOK_NEVER : LOOK_ALWAYS);
	else if (agenda_done())
		look_from_now_on(LOOK_SELDOM);
	ready_looked(blocks);
	if (!blocks || acted != GCPRELOAD_ACTED_LOOKED)
		return what;
	if (gcpreload_engine_wants_chances())
		return ready_chance(false);
	return gcpreload_engine_grown() ? READY_DUE : what;
}

/* So is a wait of the server, unless some library's code waits. */
static enum ready_wait ready_server_waits(const struct server *server, bool blocks, bool restarts)
{
	enum caller_kind code = servers_code(server);

	if (code == CALLER_LIBRARY) {
		ready_looked(true);
		return READY_GO_ON;
	}
	return ready_acts(code, blocks, restarts);
}

enum ready_wait ready_at_home(void)
{
	int saved_errno = errno;
	enum ready_wait what;
	bool home;

	gcpreload_inject_wait_begins(true);
	home = home_wait_lasts();
	what = ready_after(GCPRELOAD_ACTED_COLLECTED);
	if (what == READY_COLLECTED) /* none yet */
		what = home ? ready_acts(CALLER_INTERPRETER, true, false) : READY_GO_ON;
	errno = saved_errno;
	return what;
}

/* A wait in another thread than the main one. */
static enum ready_wait ready_helper_waits(int epoll, int fd, enum look_call call, const char *how,
					  bool blocks, const void *caller)
{
	if (servers_any() || agenda_is_parent()) {
		ready_looked(true);
		return READY_GO_ON;
	}
	if (!servers_helper_at(epoll, fd, call, caller) &&
	    (epoll >= 0 || !servers_arm_helper(-1, fd, call, caller)))
		return READY_GO_ON;
	if (!servers_helper_settled()) {
		ready_looked(blocks);
		return READY_GO_ON;
	}
	return ready_server_waits(ready_arm(epoll, servers_helper_socket(), call, how, caller),
				  blocks, false);
}

void ready_listened(int fd)
{
	int saved_errno = errno;

	late_start();
	if (!look_is_off()) {
		bool main_thread = entry_on_main_thread();

		if (listeners_serves(fd)) {
			listeners_add(fd, main_thread);
			if (main_thread) {
				agenda_reopen();
				look_at_once();
				look_from_now_on(LOOK_ALWAYS);
			}
		}
	}
	errno = saved_errno;
}

void ready_epoll_add(int epfd, int fd, const void *caller)
{
	int saved_errno = errno;

	if (!look_at_calls() && !listeners_known(fd))
		return;
	if (!entry_on_main_thread())
		servers_arm_helper(epfd, fd, LOOK_EPOLL, caller);
	else if (listeners_serves(fd))
		ready_arm(epfd, fd, LOOK_EPOLL, "auto: epoll", caller);
	errno = saved_errno;
}

/* A set that holds a listener: libuv adds by io_uring, and a socket may be added before listen().
 */
static const struct server *ready_arm_by_wait(int epfd, const void *caller)
{
	int fd = look_at_calls() ? listeners_of_set(epfd, true) : -1;

	return fd >= 0 ? ready_arm(epfd, fd, LOOK_EPOLL, "auto: epoll", caller) : NULL;
}

/* The same in another thread. */
static bool ready_helper_is_at(int epfd, const void *caller)
{
	int fd;

	if (servers_helper_at(epfd, -1, LOOK_EPOLL, caller))
		return true;
	fd = look_at_calls() ? listeners_of_set(epfd, false) : -1;
	return fd >= 0 && servers_arm_helper(epfd, fd, LOOK_EPOLL, caller);
}

enum ready_wait ready_at_epoll(int epfd, bool blocks, const void *caller)
{
	int saved_errno = errno;
	bool main_thread = entry_on_main_thread();
	enum ready_wait what = READY_GO_ON;
	const struct server *server;

	if (this_wait.asks)
		ready_asked_others();
	server = servers_at(epfd, -1, LOOK_EPOLL, caller);
	if (!server && main_thread)
		server = ready_arm_by_wait(epfd, caller);
	if (server)
		what = ready_server_waits(server, blocks, false);
	else if (!main_thread && ready_helper_is_at(epfd, caller))
		what = ready_helper_waits(epfd, -1, LOOK_EPOLL, "auto: epoll in a thread", blocks,
					  caller);
	else if (servers_may_wait(epfd, LOOK_EPOLL))
		ready_looked(true); /* its number, or its set without a listener: not each time */
	errno = saved_errno;
	return what;
}

struct direct {
	const char *how;
	const void *caller;
	enum look_call call;
	bool blocks;
	bool restarts;
	bool asks; /* what is not known yet may be armed */
	bool done; /* no other descriptor needs a look */
};

/* A direct wait on fd, one of several. */
static enum ready_wait ready_at_direct(int fd, struct direct *wait)
{
	const struct server *server = servers_at(-1, fd, wait->call, wait->caller);

	if (!server) {
		if (!wait->asks || !look_at_calls())
			return READY_GO_ON;
		if (!entry_on_main_thread())
			return ready_helper_waits(-1, fd, wait->call, "auto: in a thread",
						  wait->blocks, wait->caller);
		if (!listeners_serves(fd))
			return READY_GO_ON;
		server = ready_arm(-1, fd, wait->call, wait->how, wait->caller);
	}
	wait->done = true;
	return ready_server_waits(server, wait->blocks, wait->restarts);
}

/* None of them was a server's. Perhaps the socket that was is closed, and there is another. */
static void ready_at_none(const struct direct *wait)
{
	if (wait->done || !(wait->asks || ready_asks_others()))
		return;
	ready_asked_others();
	if (!wait->asks)
		servers_end_closed();
}

enum ready_wait ready_at_poll(const struct pollfd *fds, nfds_t n, bool blocks, const void *caller)
{
	struct direct wait = { .how = "auto: poll",
			       .caller = caller,
			       .call = LOOK_POLL,
			       .blocks = blocks,
			       .asks = this_wait.asks };
	int saved_errno = errno;
	enum ready_wait what = READY_GO_ON;
	nfds_t i;

	for (i = 0; i < ready_reads(n) && !wait.done && what == READY_GO_ON; i++)
		if (fds[i].fd >= 0 && (fds[i].events & POLLIN))
			what = ready_at_direct(fds[i].fd, &wait);
	ready_at_none(&wait);
	errno = saved_errno;
	return what;
}

enum ready_wait ready_at_select(int nfds, const fd_set *reads, bool blocks, const void *caller)
{
	struct direct wait = { .how = "auto: select",
			       .caller = caller,
			       .call = LOOK_SELECT,
			       .blocks = blocks,
			       .asks = this_wait.asks };
	int saved_errno = errno, fd, n_looked = 0;
	enum ready_wait what = READY_GO_ON;

	for (fd = 0; reads && fd < nfds && !wait.done && what == READY_GO_ON; fd++)
		if (FD_ISSET(fd, reads) && n_looked++ < READY_LOOK_AT)
			what = ready_at_direct(fd, &wait);
	ready_at_none(&wait);
	errno = saved_errno;
	return what;
}

bool ready_accept_blocks(int fd)
{
	int saved_errno = errno, flags = fcntl(fd, F_GETFL);

	errno = saved_errno;
	return flags >= 0 && !(flags & O_NONBLOCK);
}

bool ready_at_accept(int fd, const void *caller)
{
	struct direct wait = { .how = "auto: accept",
			       .caller = caller,
			       .call = LOOK_ACCEPT,
			       .restarts = true,
			       .asks = true };
	int saved_errno = errno;
	enum ready_wait what;

	entry_on_main_thread();
	/* A blocking accept cannot come back empty: no chance. */
	what = ready_at_direct(fd, &wait);
	errno = saved_errno;
	return what == READY_INTERRUPTED;
}

enum ready_wait ready_collect(bool endless)
{
	int saved_errno = errno;
	enum ready_wait what;

	gcpreload_inject_wait_begins(this_wait.interpreter);
	what = ready_after(gcpreload_engine_collect(endless));
	errno = saved_errno;
	return what;
}

void ready_woke(int found)
{
	gcpreload_engine_woke(found > 0);
}

void ready_accepted(void)
{
	int saved_errno = errno;

	entry_on_main_thread();
	agenda_accepted();
	if (!agenda_done())
		look_from_now_on(LOOK_ALWAYS);
	errno = saved_errno;
}

/* SPDX-License-Identifier: MIT */
#include "preload/ready.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/shared.h"
#include "engine/engine.h"
#include "inject/inject.h"
#include "preload/agenda.h"
#include "preload/caller.h"
#include "preload/late.h"
#include "preload/listeners.h"

#define LOOK_EVERY_NS	  1000000ull
#define HELPER_SETTLES_NS 10000000000ull
#define SERVERS		  8

volatile int ready_urgent;
bool ready_counts_accepts;
__thread uint64_t ready_next_look_ns __attribute__((tls_model("initial-exec")));

/* A listening socket that a thread waits on, alone or through an epoll set, and whose code does. */
struct armed {
	bool set;
	int epoll; /* -1: waited on directly */
	int fd;
	pthread_t thread;
	struct caller by;
};

/* Asked once in each thread of each process: gettid() costs more than the rest of a look. */
static uint32_t epoch;
static __thread struct {
	uint32_t epoch;
	bool main;
} this_thread __attribute__((tls_model("initial-exec")));

/* Of this process. */
static struct {
	struct armed servers[SERVERS];
	unsigned next_server;
	/* A listener in another thread counts later, if nothing else happens: see helper(). */
	struct armed helper;
	uint64_t helper_since_ns;
	int64_t helper_modules;
} here;

/* Whether the fork() that this thread is in is made by the only thread there is. */
static __thread bool forks_alone __attribute__((tls_model("initial-exec")));

/* The thread that forked is its child's main thread. */
static void begin_process(void)
{
	memset(&here, 0, sizeof here);
	listeners_begin_process();
	epoch++;
	ready_urgent = 0;
	ready_next_look_ns = 0;
	agenda_begin_process();
	store_relaxed(&gcpreload_self->preload, 1);
	/* Last: from here on other threads look. */
	store_release(&gcpreload_self->settled, READY_LOOK);
}

void ready_start(void)
{
	begin_process();
	this_thread.epoch = epoch;
	this_thread.main = true;
}

void ready_begin_if_new(void)
{
	if (__builtin_expect(!load_relaxed(&gcpreload_self->preload), 0)) {
		caller_forked(forks_alone);
		begin_process();
	}
}

static bool on_main_thread(void)
{
	ready_begin_if_new();
	if (__builtin_expect(this_thread.epoch != epoch, 0)) {
		this_thread.main = syscall(SYS_gettid) == syscall(SYS_getpid);
		this_thread.epoch = epoch;
	}
	return this_thread.main;
}

/* The calling thread looks now; when next? A wait that does not block is no chance, and must not
 * take the look from the one that follows (gunicorn accepts before it selects). */
static void looked(bool blocks)
{
	if (!blocks && gcpreload_engine_wants_chances())
		return;
	ready_next_look_ns =
	    ready_coarse_now() + (ready_looking() ? LOOK_EVERY_NS : gcpreload_engine_looks_every());
}

/* The number of a set or socket may have become another thing's: a driver's, waited on under its
 * mutex. So the code must be the same, the socket must listen, and the set must hold it. */
static bool waits_on(struct armed *armed, int epoll, int fd, const void *caller)
{
	if (!armed->set || armed->epoll != epoll || (epoll < 0 && armed->fd != fd) ||
	    !pthread_equal(armed->thread, pthread_self()) || !caller_is_same(&armed->by, caller))
		return false;
	if (!listeners_serves(armed->fd)) {
		armed->set = false;
		return false;
	}
	return epoll < 0 || listeners_in_set(epoll, armed->fd);
}

/* The server that waits, or NULL. */
static struct armed *server_at(int epoll, int fd, const void *caller)
{
	int i;

	for (i = 0; i < SERVERS; i++)
		if (waits_on(&here.servers[i], epoll, fd, caller))
			return &here.servers[i];
	return NULL;
}

bool ready_serves(void)
{
	int i;

	for (i = 0; i < SERVERS; i++)
		if (here.servers[i].set)
			return true;
	return false;
}

static void arm(struct armed *armed, int epoll, int fd, const struct caller *by)
{
	*armed = (struct armed){
		.set = true, .epoll = epoll, .fd = fd, .thread = pthread_self(), .by = *by
	};
	listeners_waited_on(fd);
}

/* The place of the same set or socket, of one that is closed, or of the oldest. */
static struct armed *place_for(int epoll, int fd)
{
	struct armed *armed, *closed = NULL;
	int i;

	for (i = 0; i < SERVERS; i++) {
		armed = &here.servers[i];
		if (armed->set && armed->epoll == epoll && armed->fd == fd)
			return armed;
		if (!armed->set || !listeners_serves(armed->fd))
			closed = armed;
	}
	return closed ? closed : &here.servers[here.next_server++ % SERVERS];
}

/* Whose waits are no place to act in is ready all the same: what is due is done elsewhere, once the
 * socket has not turned out to be a driver's own while the application was still being loaded. */
static struct armed *arm_server(int epoll, int fd, const char *how, const void *caller)
{
	struct armed *armed = place_for(epoll, fd);
	struct caller by = caller_at(caller);

	arm(armed, epoll, fd, &by);
	if (by.kind == CALLER_LIBRARY) {
		agenda_fire_elsewhere(TRIGGER_AUTO, how, HELPER_SETTLES_NS);
	} else {
		ready_urgent = 1;
		agenda_fire(TRIGGER_AUTO, how);
	}
	return armed;
}

/* A listener in a thread that can be Python's, if none that lives is known yet. */
static bool arm_helper(int epoll, int fd, const void *caller)
{
	struct caller by;

	if (!listeners_serves(fd))
		return false;
	listeners_waited_on(fd);
	if ((here.helper.set && listeners_serves(here.helper.fd)) ||
	    gcpreload_inject_gil() == GCPRELOAD_GIL_FOREIGN)
		return false;
	by = caller_at(caller);
	if (by.kind == CALLER_LIBRARY)
		return false;
	arm(&here.helper, epoll, fd, &by);
	here.helper_since_ns = ready_coarse_now();
	here.helper_modules = -1;
	return true;
}

static enum ready_wait chance(bool again)
{
	static const enum ready_wait means[] = {
		[GCPRELOAD_CHANCE_NONE] = READY_GO_ON,
		[GCPRELOAD_CHANCE_DUE] = READY_CHANCE,
		[GCPRELOAD_CHANCE_BUSY] = READY_BUSY,
	};

	return means[gcpreload_engine_chance(again)];
}

enum ready_wait ready_again(void)
{
	int saved_errno = errno;
	enum ready_wait what = chance(true);

	errno = saved_errno;
	return what;
}

static __thread struct {
	bool interpreter;
	bool restarts;
} this_wait __attribute__((tls_model("initial-exec")));

static enum ready_wait after(enum gcpreload_acted acted)
{
	static const enum ready_wait means[] = {
		[GCPRELOAD_AFTER_GO_ON] = READY_COLLECTED,
		[GCPRELOAD_AFTER_EMPTY] = READY_EMPTY,
		[GCPRELOAD_AFTER_INTERRUPTED] = READY_INTERRUPTED,
	};
	enum gcpreload_after how = gcpreload_inject_wait_ends(this_wait.restarts);

	return acted == GCPRELOAD_ACTED_COLLECTED ? means[how] : READY_GO_ON;
}

/* This is a wait of the server: the place to act, unless some library's code waits. */
static enum ready_wait server_waits(const struct armed *server, bool blocks, bool restarts)
{
	enum gcpreload_acted acted;
	enum ready_wait what;

	if (server->by.kind == CALLER_LIBRARY)
		return READY_GO_ON;
	ready_urgent = 0;
	this_wait.interpreter = server->by.kind == CALLER_INTERPRETER;
	this_wait.restarts = restarts;
	gcpreload_inject_wait_begins(this_wait.interpreter);
	acted = agenda_at_wait();
	what = after(acted);
	if (acted == GCPRELOAD_ACTED_NOT && !late_attach())
		store_relaxed(&gcpreload_self->settled, late_given_up() ? READY_NEVER : READY_LOOK);
	else if (agenda_done())
		store_relaxed(&gcpreload_self->settled, READY_DONE);
	looked(blocks);
	if (!blocks || acted != GCPRELOAD_ACTED_LOOKED)
		return what;
	if (gcpreload_engine_wants_chances())
		return chance(false);
	return gcpreload_engine_grown() ? READY_CHANCE : what;
}

/* A metrics server that the application starts in a thread while it still imports is not its
 * readiness. A server that runs in a thread for good is: it waits for ten seconds, the main
 * thread has armed nothing, and no module came in between. */
static enum ready_wait helper_waits(int epoll, int fd, const char *how, bool blocks,
				    const void *caller)
{
	uint64_t now = ready_coarse_now();
	int64_t modules;

	if (ready_serves() || agenda_is_parent())
		return READY_GO_ON;
	if (!waits_on(&here.helper, epoll, fd, caller) &&
	    (epoll >= 0 || !arm_helper(-1, fd, caller)))
		return READY_GO_ON;
	if (here.helper_modules >= 0 &&
	    gcpreload_elapsed(here.helper_since_ns, now) < HELPER_SETTLES_NS)
		return READY_GO_ON;
	modules = gcpreload_inject_modules();
	if (modules < 0)
		return READY_GO_ON;
	if (modules != here.helper_modules) {
		here.helper_modules = modules;
		here.helper_since_ns = now;
		return READY_GO_ON;
	}
	return server_waits(arm_server(epoll, here.helper.fd, how, caller), blocks, false);
}

void ready_listened(int fd)
{
	int saved_errno = errno;

	late_start();
	if (load_relaxed(&gcpreload_self->settled) != READY_NEVER) {
		bool main_thread = on_main_thread();

		if (listeners_serves(fd)) {
			listeners_add(fd, main_thread);
			if (main_thread) {
				agenda_reopen();
				ready_next_look_ns = 0;
				store_relaxed(&gcpreload_self->settled, READY_LOOK);
			}
		}
	}
	errno = saved_errno;
}

void ready_epoll_add(int epfd, int fd, const void *caller)
{
	int saved_errno = errno;

	if (!on_main_thread())
		arm_helper(epfd, fd, caller);
	else if (listeners_serves(fd))
		arm_server(epfd, fd, "auto: epoll", caller);
	errno = saved_errno;
}

/* A set that holds a listener: libuv adds by io_uring, and a socket may be added before listen().
 */
static struct armed *arm_by_wait(int epfd, const void *caller)
{
	int fd = ready_looking() ? listeners_of_set(epfd, true) : -1;

	return fd >= 0 ? arm_server(epfd, fd, "auto: epoll", caller) : NULL;
}

/* The same in another thread. */
static bool helper_is_at(int epfd, const void *caller)
{
	int fd;

	if (waits_on(&here.helper, epfd, -1, caller))
		return true;
	fd = ready_looking() ? listeners_of_set(epfd, false) : -1;
	return fd >= 0 && arm_helper(epfd, fd, caller);
}

enum ready_wait ready_at_epoll(int epfd, bool blocks, const void *caller)
{
	int saved_errno = errno;
	bool main_thread = on_main_thread();
	enum ready_wait what = READY_GO_ON;
	const struct armed *server;

	looked(blocks);
	server = server_at(epfd, -1, caller);
	if (!server && main_thread)
		server = arm_by_wait(epfd, caller);
	if (server)
		what = server_waits(server, blocks, false);
	else if (!main_thread && helper_is_at(epfd, caller))
		what = helper_waits(epfd, -1, "auto: epoll in a thread", blocks, caller);
	errno = saved_errno;
	return what;
}

struct direct {
	const char *how;
	const void *caller;
	bool blocks;
	bool restarts;
	bool first_looks; /* what is not known yet may be armed */
	bool done;	  /* no other descriptor needs a look */
};

/* A direct wait on fd, one of several. */
static enum ready_wait at_direct(int fd, struct direct *wait)
{
	const struct armed *server = server_at(-1, fd, wait->caller);

	if (!server) {
		if (!wait->first_looks)
			return READY_GO_ON;
		if (!on_main_thread())
			return helper_waits(-1, fd, "auto: in a thread", wait->blocks,
					    wait->caller);
		if (!listeners_serves(fd))
			return READY_GO_ON;
		server = arm_server(-1, fd, wait->how, wait->caller);
	}
	wait->done = true;
	return server_waits(server, wait->blocks, wait->restarts);
}

enum ready_wait ready_at_poll(const struct pollfd *fds, nfds_t n, bool blocks, const void *caller)
{
	struct direct wait = { .how = "auto: poll", .caller = caller, .blocks = blocks };
	int saved_errno = errno;
	enum ready_wait what = READY_GO_ON;
	nfds_t i;

	ready_begin_if_new();
	looked(blocks);
	wait.first_looks = ready_looking();
	for (i = 0; i < ready_reads(n) && !wait.done && what == READY_GO_ON; i++)
		if (fds[i].fd >= 0 && (fds[i].events & POLLIN))
			what = at_direct(fds[i].fd, &wait);
	errno = saved_errno;
	return what;
}

enum ready_wait ready_at_select(int nfds, const fd_set *reads, bool blocks, const void *caller)
{
	struct direct wait = { .how = "auto: select", .caller = caller, .blocks = blocks };
	int saved_errno = errno, fd, n_looked = 0;
	enum ready_wait what = READY_GO_ON;

	ready_begin_if_new();
	looked(blocks);
	wait.first_looks = ready_looking();
	for (fd = 0; reads && fd < nfds && !wait.done && what == READY_GO_ON; fd++)
		if (FD_ISSET(fd, reads) && n_looked++ < READY_LOOK_AT)
			what = at_direct(fd, &wait);
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
	struct direct wait = { .how = "auto: accept", .caller = caller, .restarts = true };
	int saved_errno = errno;
	enum ready_wait what;

	on_main_thread();
	wait.first_looks = ready_looking();
	/* A blocking accept cannot come back empty: no chance. */
	what = at_direct(fd, &wait);
	errno = saved_errno;
	return what == READY_INTERRUPTED;
}

enum ready_wait ready_collect(bool endless)
{
	int saved_errno = errno;
	enum ready_wait what;

	gcpreload_inject_wait_begins(this_wait.interpreter);
	what = after(gcpreload_engine_collect(endless));
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

	on_main_thread();
	agenda_accepted();
	if (!agenda_done())
		store_relaxed(&gcpreload_self->settled, READY_LOOK);
	errno = saved_errno;
}

void ready_before_fork(void)
{
	int saved_errno = errno;

	if (load_relaxed(&gcpreload_self->settled) != READY_NEVER) {
		on_main_thread();
		agenda_before_c_fork();
		forks_alone = machine_single_threaded();
	}
	errno = saved_errno;
}

void ready_after_fork(pid_t pid)
{
	int saved_errno = errno;

	if (pid == 0) {
		if (!forks_alone)
			late_forked();
		gcpreload_inject_wait_forked();
		ready_begin_if_new();
	}
	forks_alone = false;
	errno = saved_errno;
}

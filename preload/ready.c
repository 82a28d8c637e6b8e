/* SPDX-License-Identifier: MIT */
#include "preload/ready.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "inject/inject.h"
#include "preload/agenda.h"
#include "preload/late.h"
#include "ring/barrier.h"

/* Until a process is ready, each descriptor of a poll costs a system call: look at few, and not
 * at every call. */
#define LOOK_AT		  8
#define LOOK_EVERY_NS	  1000000ull
#define COMMANDS_EVERY_NS 1000000000ull
/* What is due in mode idle is looked at under the GIL, in some microseconds. */
#define CHANCES_EVERY_NS  2000000ull
#define HELPER_SETTLES_NS 10000000000ull

volatile int ready_urgent;
bool ready_counts_accepts;
__thread uint64_t ready_next_look_ns __attribute__((tls_model("initial-exec")));

/* A socket that a thread waits on, alone or through an epoll set. */
struct armed {
	bool set;
	int epoll; /* -1: waited on directly */
	int fd;
	pthread_t thread;
};

/* Asked once in each thread of each process: gettid() costs more than the rest of a look. */
static uint32_t epoch;
static __thread struct {
	uint32_t epoch;
	bool main;
} this_thread __attribute__((tls_model("initial-exec")));

/* Of this process. */
static struct {
	bool listened; /* and nothing was armed since */
	struct armed server;
	/* A listener in another thread counts later, if nothing else happens: see helper(). */
	struct armed helper;
	uint64_t helper_since_ns;
	int64_t helper_modules;
} here;

/* The thread that forked is its child's main thread. */
static void begin_process(void)
{
	memset(&here, 0, sizeof here);
	epoch++;
	ready_urgent = 0;
	ready_next_look_ns = 0;
	ring_store(&gcpreload_self->settled, READY_LOOK);
	ring_store(&gcpreload_self->preload, 1);
	agenda_begin_process();
}

void ready_start(void)
{
	begin_process();
	this_thread.epoch = epoch;
	this_thread.main = true;
}

void ready_begin_if_new(void)
{
	if (__builtin_expect(!ring_load(&gcpreload_self->preload), 0))
		begin_process();
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
	if (!blocks && gcpreload_inject_wants_chances())
		return;
	ready_next_look_ns =
	    ready_coarse_now() + (ready_looking()		     ? LOOK_EVERY_NS
				  : gcpreload_inject_wants_chances() ? CHANCES_EVERY_NS
								     : COMMANDS_EVERY_NS);
}

/* multiprocessing listens for its own children: on "listener-PID-N" of the abstract namespace, or
 * on a file in a directory of its own, "listener-..." and of late "sock-...". */
#define MULTIPROCESSINGS_DIR "/pymp-XXXXXXXX"

static bool multiprocessings_own(int fd)
{
	struct sockaddr_un address;
	socklen_t length = sizeof address - 1;
	const char *path = address.sun_path, *file;

	memset(&address, 0, sizeof address);
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
	    address.sun_family != AF_UNIX)
		return false;
	if (!*path)
		return strncmp(path + 1, "listener-", 9) == 0;
	file = strrchr(path, '/');
	return file && file - path >= (ssize_t)strlen(MULTIPROCESSINGS_DIR) &&
	       strncmp(file - strlen(MULTIPROCESSINGS_DIR), "/pymp-", strlen("/pymp-")) == 0;
}

static bool serves(int fd)
{
	int listening = 0;
	socklen_t length = sizeof listening;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening &&
	       !multiprocessings_own(fd);
}

static bool waits_on(const struct armed *armed, int epoll, int fd)
{
	return armed->set && pthread_equal(armed->thread, pthread_self()) &&
	       armed->epoll == epoll && (epoll >= 0 || armed->fd == fd);
}

static void arm(struct armed *armed, int epoll, int fd)
{
	*armed = (struct armed){ .set = true, .epoll = epoll, .fd = fd, .thread = pthread_self() };
}

static void arm_server(int epoll, int fd, const char *how)
{
	arm(&here.server, epoll, fd);
	here.listened = false;
	ready_urgent = 1;
	agenda_fire(TRIGGER_AUTO, how);
}

/* The descriptor's number may have become another thing's: a driver's connection, polled under
 * its mutex. */
static bool still_serves(void)
{
	if (here.server.fd >= 0 && !serves(here.server.fd))
		here.server.set = false;
	return here.server.set;
}

/* A listener in a thread that can be Python's, if none that lives is known yet. */
static bool arm_helper(int epoll, int fd)
{
	if ((here.helper.set && serves(here.helper.fd)) || !serves(fd) ||
	    gcpreload_inject_gil() == GCPRELOAD_GIL_FOREIGN)
		return false;
	arm(&here.helper, epoll, fd);
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

	return means[gcpreload_inject_due(again)];
}

enum ready_wait ready_again(void)
{
	int saved_errno = errno;
	enum ready_wait what = chance(true);

	errno = saved_errno;
	return what;
}

/* This is a wait of the server: the place to act. */
static enum ready_wait server_waits(bool blocks)
{
	enum gcpreload_acted acted;

	ready_urgent = 0;
	acted = agenda_at_wait();
	if (acted == GCPRELOAD_ACTED_NOT && !late_attach())
		ring_store(&gcpreload_self->settled, late_given_up() ? READY_NEVER : READY_LOOK);
	else if (agenda_done())
		ring_store(&gcpreload_self->settled, READY_DONE);
	looked(blocks);
	if (acted == GCPRELOAD_ACTED_COLLECTED)
		return READY_COLLECTED;
	if (blocks && acted == GCPRELOAD_ACTED_LOOKED && gcpreload_inject_wants_chances())
		return chance(false);
	return READY_GO_ON;
}

/* A metrics server that the application starts in a thread while it still imports is not its
 * readiness. A server that runs in a thread for good is: it waits for ten seconds, the main
 * thread has armed nothing, and no module came in between. */
static enum ready_wait helper_waits(int epoll, int fd, const char *how, bool blocks)
{
	uint64_t now = ready_coarse_now();
	int64_t modules;

	if (here.server.set || agenda_is_parent())
		return READY_GO_ON;
	if (!waits_on(&here.helper, epoll, fd) && (epoll >= 0 || !arm_helper(-1, fd)))
		return READY_GO_ON;
	if (here.helper_modules >= 0 && now - here.helper_since_ns < HELPER_SETTLES_NS)
		return READY_GO_ON;
	modules = gcpreload_inject_modules();
	if (modules < 0)
		return READY_GO_ON;
	if (modules != here.helper_modules) {
		here.helper_modules = modules;
		here.helper_since_ns = now;
		return READY_GO_ON;
	}
	arm_server(epoll, fd, how);
	return server_waits(blocks);
}

void ready_listened(int fd)
{
	int saved_errno = errno;

	late_start();
	if (gcpreload_self->settled != READY_NEVER) {
		bool main_thread = on_main_thread();

		if (serves(fd)) {
			agenda_listened();
			if (main_thread) {
				here.listened = true;
				agenda_reopen();
				ready_next_look_ns = 0;
				ring_store(&gcpreload_self->settled, READY_LOOK);
			}
		}
	}
	errno = saved_errno;
}

void ready_epoll_add(int epfd, int fd)
{
	int saved_errno = errno;

	if (on_main_thread()) {
		if (serves(fd))
			arm_server(epfd, fd, "auto: epoll");
	} else {
		arm_helper(epfd, fd);
	}
	errno = saved_errno;
}

enum ready_wait ready_at_epoll(int epfd, bool libuv, bool blocks)
{
	int saved_errno = errno;
	enum ready_wait what = READY_GO_ON;

	looked(blocks);
	if (on_main_thread()) {
		/* libuv gives its sets to the kernel by io_uring: no epoll_ctl is seen. */
		if (libuv && here.listened && !here.server.set)
			arm_server(epfd, -1, "auto: listen, then epoll_pwait");
		if (waits_on(&here.server, epfd, -1) && still_serves())
			what = server_waits(blocks);
	} else if (waits_on(&here.helper, epfd, -1) || waits_on(&here.server, epfd, -1)) {
		what = here.server.set ? server_waits(blocks)
				       : helper_waits(epfd, -1, "auto: epoll in a thread", blocks);
	}
	errno = saved_errno;
	return what;
}

/* A direct wait on fd, one of several. *done: no other descriptor needs a look. */
static enum ready_wait at_direct(int fd, bool first_looks, const char *how, bool blocks, bool *done)
{
	if (waits_on(&here.server, -1, fd) && still_serves()) {
		*done = true;
		return server_waits(blocks);
	}
	/* A server that waits by epoll accepts directly, too: that arms nothing. */
	if (!first_looks || (here.server.set && !here.listened))
		return READY_GO_ON;
	if (!on_main_thread())
		return helper_waits(-1, fd, "auto: in a thread", blocks);
	if (!serves(fd))
		return READY_GO_ON;
	*done = true;
	arm_server(-1, fd, how);
	return server_waits(blocks);
}

enum ready_wait ready_at_poll(const struct pollfd *fds, nfds_t n, bool blocks)
{
	int saved_errno = errno;
	enum ready_wait what = READY_GO_ON;
	bool done = false, first_looks;
	nfds_t i;

	ready_begin_if_new();
	looked(blocks);
	first_looks = ready_looking();
	for (i = 0; i < n && i < LOOK_AT && !done && what == READY_GO_ON; i++)
		if (fds[i].fd >= 0 && (fds[i].events & POLLIN))
			what = at_direct(fds[i].fd, first_looks, "auto: poll", blocks, &done);
	errno = saved_errno;
	return what;
}

enum ready_wait ready_at_select(int nfds, const fd_set *reads, bool blocks)
{
	int saved_errno = errno, fd, n_looked = 0;
	enum ready_wait what = READY_GO_ON;
	bool done = false, first_looks;

	ready_begin_if_new();
	looked(blocks);
	first_looks = ready_looking();
	for (fd = 0; reads && fd < nfds && nfds <= FD_SETSIZE && !done && what == READY_GO_ON; fd++)
		if (FD_ISSET(fd, reads) && n_looked++ < LOOK_AT)
			what = at_direct(fd, first_looks, "auto: select", blocks, &done);
	errno = saved_errno;
	return what;
}

bool ready_at_accept(int fd)
{
	int saved_errno = errno;
	enum ready_wait what;
	bool done = false;

	on_main_thread();
	/* A blocking accept cannot come back empty: no chance. */
	what = at_direct(fd, ready_looking(), "auto: accept", false, &done);
	errno = saved_errno;
	return what == READY_COLLECTED;
}

bool ready_collect(bool endless)
{
	int saved_errno = errno;
	bool collected = gcpreload_inject_collect(endless) == GCPRELOAD_ACTED_COLLECTED;

	errno = saved_errno;
	return collected;
}

void ready_woke(int found)
{
	gcpreload_inject_woke(found > 0);
}

void ready_accepted(void)
{
	int saved_errno = errno;

	on_main_thread();
	agenda_accepted();
	if (!agenda_done())
		ring_store(&gcpreload_self->settled, READY_LOOK);
	errno = saved_errno;
}

void ready_before_fork(void)
{
	int saved_errno = errno;

	if (gcpreload_self->settled != READY_NEVER) {
		on_main_thread();
		agenda_before_c_fork();
	}
	errno = saved_errno;
}

/* SPDX-License-Identifier: MIT */
#include "preload/listeners.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/shared.h"
#include "preload/look.h"
#include "preload/real.h"

#define KEPT 16
/* Inherited sockets have low numbers: systemd's begin with 3 (sd_listen_fds(3)). */
#define INHERITED_BELOW 64
/* Waits on sets that are asked for such a socket, which was there before the set or came with it: a
 * child that never serves does not ask for ever. */
#define INHERITED_ASKED 64

/* One word each, so that no thread sees half of one: the socket, and what is known of it. Written
 * by threads that listen or wait, read by those that wait or fork. Another may take a place at
 * once: what is kept is a hint, and the socket itself is asked. */
enum { KNOWN = 1, MAIN_THREAD = 2, WAITED_ON = 4, INHERITED = 8 };

static uint64_t listeners[KEPT];
static unsigned next;
/* Whether was looked for those that were inherited: by the thread that holds the GIL before a fork,
 * or the only one; and by any that waits on a set, with how often. */
static bool looked_at_fork, looked_at_wait;
static unsigned asked_for_inherited;

static uint64_t listener_word(int fd, unsigned known)
{
	return (uint64_t)(unsigned)fd << 32 | KNOWN | known;
}

static int listener_socket(uint64_t word)
{
	return (int)(word >> 32);
}

/* The place of fd, or KEPT. */
static int listener_place(int fd)
{
	uint64_t word;
	int i;

	for (i = 0; i < KEPT; i++) {
		word = load_relaxed(&listeners[i]);
		if (word & KNOWN && listener_socket(word) == fd)
			break;
	}
	return i;
}

bool listeners_known(int fd)
{
	return listener_place(fd) < KEPT;
}

void listeners_begin_process(void)
{
	int i;

	for (i = 0; i < KEPT; i++)
		store_relaxed(&listeners[i], 0);
	store_relaxed(&next, 0);
	store_relaxed(&look_listeners, 0);
	store_relaxed(&looked_at_fork, false);
	store_relaxed(&looked_at_wait, false);
	store_relaxed(&asked_for_inherited, 0);
}

/* A free place, that of a socket that listens no more, or of the oldest. */
static unsigned listener_place_for_new(void)
{
	uint64_t word;
	unsigned i;

	for (i = 0; i < KEPT; i++) {
		word = load_relaxed(&listeners[i]);
		if (!(word & KNOWN) || !listeners_serves(listener_socket(word)))
			return i;
	}
	return add_relaxed(&next, 1) % KEPT;
}

static void listener_add(int fd, unsigned known)
{
	unsigned place = (unsigned)listener_place(fd);

	if (place == KEPT)
		place = listener_place_for_new();
	store_relaxed(&listeners[place], listener_word(fd, known));
	or_relaxed(&look_listeners, LOOK_LISTENER(fd));
}

void listeners_add(int fd, bool main_thread)
{
	listener_add(fd, main_thread ? MAIN_THREAD : 0);
}

void listeners_waited_on(int fd)
{
	int place = listener_place(fd);
	uint64_t word = place < KEPT ? load_relaxed(&listeners[place]) : 0;

	if (!(word & KNOWN) || listener_socket(word) != fd)
		listener_add(fd, WAITED_ON);
	else if (!(word & WAITED_ON))
		swap_relaxed(&listeners[place], &word, word | WAITED_ON);
}

/* multiprocessing listens for its own children: on "listener-PID-N" of the abstract namespace, or
 * on a file in a directory of its own, "listener-..." and of late "sock-...". */
#define MULTIPROCESSINGS_DIR "/pymp-XXXXXXXX"

static bool listener_is_multiprocessings(int fd)
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

bool listeners_serves(int fd)
{
	int saved_errno = errno, listening = 0;
	socklen_t length = sizeof listening;
	bool yes = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 &&
		   listening && !listener_is_multiprocessings(fd);

	errno = saved_errno;
	return yes;
}

/* epoll_ctl(2): what is in the set already cannot be added. What is not is added without events,
 * and taken out again. */
bool listeners_in_set(int epfd, int fd)
{
	struct epoll_event none = { .events = 0 };
	int saved_errno = errno;
	bool held = REAL(epoll_ctl)(epfd, EPOLL_CTL_ADD, fd, &none) < 0;

	if (held)
		held = errno == EEXIST;
	else
		REAL(epoll_ctl)(epfd, EPOLL_CTL_DEL, fd, &none);
	errno = saved_errno;
	return held;
}

/* From the service manager, from the program that was here before an exec, or from a parent. */
static void listeners_look_for_inherited(bool *looked)
{
	int fd;

	if (exchange_relaxed(looked, true))
		return;
	for (fd = 0; fd < INHERITED_BELOW; fd++)
		if (listener_place(fd) == KEPT && listeners_serves(fd))
			listener_add(fd, MAIN_THREAD | INHERITED);
}

/* Whether it may be this thread that waits on a socket, by what is known of that. */
static bool listener_may_be_of(uint64_t word, bool main_thread, bool inherited)
{
	if (!(word & KNOWN))
		return false;
	return word & INHERITED ? inherited : !(word & MAIN_THREAD) == !main_thread;
}

int listeners_of_set(int epfd, bool main_thread)
{
	bool inherited = load_relaxed(&asked_for_inherited) < INHERITED_ASKED;
	uint64_t word;
	int i, fd;

	if (inherited)
		add_relaxed(&asked_for_inherited, 1);
	listeners_look_for_inherited(&looked_at_wait);
	for (i = 0; i < KEPT; i++) {
		word = load_relaxed(&listeners[i]);
		fd = listener_socket(word);
		if (listener_may_be_of(word, main_thread, inherited) && listeners_serves(fd) &&
		    listeners_in_set(epfd, fd))
			return fd;
	}
	return -1;
}

int listeners_another_in_set(int epfd, int but)
{
	uint64_t word;
	int i, fd;

	for (i = 0; i < KEPT; i++) {
		word = load_relaxed(&listeners[i]);
		fd = listener_socket(word);
		if (word & KNOWN && fd != but && listeners_serves(fd) && listeners_in_set(epfd, fd))
			return fd;
	}
	return -1;
}

/* Whether there is a socket that nobody in here waits on. gone: one that was inherited is closed.
 */
static bool listeners_wait_for_nobody(bool *gone)
{
	uint64_t word;
	bool serves;
	int i;

	*gone = false;
	for (i = 0; i < KEPT; i++) {
		word = load_relaxed(&listeners[i]);
		serves = word & KNOWN && listeners_serves(listener_socket(word));
		if (serves && (word & (MAIN_THREAD | WAITED_ON)) == MAIN_THREAD)
			return true;
		if (!serves && word & INHERITED) {
			store_relaxed(&listeners[i], 0);
			*gone = true;
		}
	}
	return false;
}

bool listeners_for_workers(void)
{
	bool gone;

	listeners_look_for_inherited(&looked_at_fork);
	if (listeners_wait_for_nobody(&gone))
		return true;
	if (!gone)
		return false;
	/* A new master of gunicorn duplicates the socket that it was told of, and closes that. */
	store_relaxed(&looked_at_fork, false);
	listeners_look_for_inherited(&looked_at_fork);
	return listeners_wait_for_nobody(&gone);
}

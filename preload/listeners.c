/* SPDX-License-Identifier: MIT */
#include "preload/listeners.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/shared.h"
#include "preload/real.h"

#define KEPT 16
/* Inherited sockets have low numbers: systemd's begin with 3 (sd_listen_fds(3)). */
#define INHERITED_BELOW 64

/* One word each, so that no thread sees half of one: the socket, and what is known of it. Written
 * by threads that listen or wait, read by those that wait or fork. Another may take a place at
 * once: what is kept is a hint, and the socket itself is asked. */
enum { KNOWN = 1, MAIN_THREAD = 2, WAITED_ON = 4 };

static uint64_t listeners[KEPT];
static unsigned next;
/* By the thread that holds the GIL before a fork, or the only one. */
static bool looked_for_inherited;

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

void listeners_begin_process(void)
{
	int i;

	for (i = 0; i < KEPT; i++)
		store_relaxed(&listeners[i], 0);
	store_relaxed(&next, 0);
	store_relaxed(&looked_for_inherited, false);
}

static void listener_add(int fd, unsigned known)
{
	unsigned place = (unsigned)listener_place(fd);

	if (place == KEPT)
		place = add_relaxed(&next, 1) % KEPT;
	store_relaxed(&listeners[place], listener_word(fd, known));
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

int listeners_of_set(int epfd, bool main_thread)
{
	uint64_t word;
	int i, fd;

	for (i = 0; i < KEPT; i++) {
		word = load_relaxed(&listeners[i]);
		fd = listener_socket(word);
		if (word & KNOWN && !(word & MAIN_THREAD) == !main_thread && listeners_serves(fd) &&
		    listeners_in_set(epfd, fd))
			return fd;
	}
	return -1;
}

/* From the service manager, or from the program that was here before an exec. */
static void listeners_look_for_inherited(void)
{
	int fd;

	if (exchange_relaxed(&looked_for_inherited, true))
		return;
	for (fd = 0; fd < INHERITED_BELOW; fd++)
		if (listener_place(fd) == KEPT && listeners_serves(fd))
			listeners_add(fd, true);
}

bool listeners_for_workers(void)
{
	uint64_t word;
	int i;

	listeners_look_for_inherited();
	for (i = 0; i < KEPT; i++) {
		word = load_relaxed(&listeners[i]);
		if ((word & (KNOWN | MAIN_THREAD | WAITED_ON)) == (KNOWN | MAIN_THREAD) &&
		    listeners_serves(listener_socket(word)))
			return true;
	}
	return false;
}

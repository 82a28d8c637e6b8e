/* SPDX-License-Identifier: MIT */
#include "preload/listeners.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "preload/real.h"

#define KEPT 16
/* Inherited sockets have low numbers: systemd's begin with 3 (sd_listen_fds(3)). */
#define INHERITED_BELOW 64

static struct listener {
	bool known;
	bool main_thread;
	bool waited_on;
	int fd;
} listeners[KEPT];

static unsigned next;
static bool looked_for_inherited;

void listeners_begin_process(void)
{
	memset(listeners, 0, sizeof listeners);
	next = 0;
	looked_for_inherited = false;
}

static struct listener *of(int fd)
{
	int i;

	for (i = 0; i < KEPT; i++)
		if (listeners[i].known && listeners[i].fd == fd)
			return &listeners[i];
	return NULL;
}

/* Another thread may take the place at once: what is kept is a hint, and the socket is asked. */
static struct listener *add(int fd, bool main_thread)
{
	struct listener *listener = of(fd);

	if (!listener)
		listener = &listeners[next++ % KEPT];
	*listener = (struct listener){ .known = true, .main_thread = main_thread, .fd = fd };
	return listener;
}

void listeners_add(int fd, bool main_thread)
{
	add(fd, main_thread);
}

void listeners_waited_on(int fd)
{
	struct listener *listener = of(fd);

	if (!listener)
		listener = add(fd, false);
	listener->waited_on = true;
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

bool listeners_serves(int fd)
{
	int saved_errno = errno, listening = 0;
	socklen_t length = sizeof listening;
	bool yes = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 &&
		   listening && !multiprocessings_own(fd);

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
	int i;

	for (i = 0; i < KEPT; i++)
		if (listeners[i].known && listeners[i].main_thread == main_thread &&
		    listeners_serves(listeners[i].fd) && listeners_in_set(epfd, listeners[i].fd))
			return listeners[i].fd;
	return -1;
}

/* From the service manager, or from the program that was here before an exec. */
static void look_for_inherited(void)
{
	int fd;

	if (looked_for_inherited)
		return;
	looked_for_inherited = true;
	for (fd = 0; fd < INHERITED_BELOW; fd++)
		if (!of(fd) && listeners_serves(fd))
			listeners_add(fd, true);
}

bool listeners_for_workers(void)
{
	int i;

	look_for_inherited();
	for (i = 0; i < KEPT; i++)
		if (listeners[i].known && listeners[i].main_thread && !listeners[i].waited_on &&
		    listeners_serves(listeners[i].fd))
			return true;
	return false;
}

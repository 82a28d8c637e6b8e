/* SPDX-License-Identifier: MIT */
/*
 * A C program with Python inside that waits for its clients itself, without the GIL and without a
 * Python frame:
 *	waiting_host KIND SETUP ROUNDS restart|interrupt
 * SETUP is Python, run before each wait. It says its port, then what each wait came back with.
 * SIGUSR1 has a handler, with SA_RESTART or without.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG 600 /* seconds; nobody waits for it to pass */

void Py_Initialize(void);
int PyRun_SimpleString(const char *);
void *PyEval_SaveThread(void);
void PyEval_RestoreThread(void *);

static int listener;
static volatile nfds_t n = 1; /* not known to the compiler: the checked calls are made */

static int accepts(void)
{
	return accept(listener, NULL, NULL);
}

static int accepts4(void)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

/* Of a size that is not known to the compiler. */
static int polls_for(int timeout)
{
	static struct pollfd *fds;

	fds = realloc(fds, n * sizeof *fds);
	*fds = (struct pollfd){ listener, POLLIN, 0 };
	return poll(fds, 1, timeout);
}

static int polls(void)
{
	return polls_for(LONG * 1000);
}

static int polls_for_ever(void)
{
	return polls_for(-1);
}

static int polls_checked(void)
{
	struct pollfd fds[2] = { { listener, POLLIN, 0 }, { -1, 0, 0 } };

	return poll(fds, n, LONG * 1000);
}

static int ppolls(void)
{
	struct pollfd one = { listener, POLLIN, 0 };
	struct timespec time = { LONG, 0 };

	return ppoll(&one, 1, &time, NULL);
}

static int ppolls_checked(void)
{
	struct pollfd fds[2] = { { listener, POLLIN, 0 }, { -1, 0, 0 } };

	return ppoll(fds, n, NULL, NULL);
}

static int selects_for(struct timeval *left)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(listener, &set);
	return select(listener + 1, &set, NULL, NULL, left);
}

static int selects_for_ever(void)
{
	return selects_for(NULL);
}

static int selects(void)
{
	struct timeval left = { LONG, 0 };

	return selects_for(&left);
}

/* Linux says what is left of the time. */
static int selects_and_says(void)
{
	struct timeval left = { LONG, 0 };
	int ret = selects_for(&left);

	printf("%ld.%06ld\n", (long)left.tv_sec, (long)left.tv_usec);
	return ret;
}

static int epoll_set(void)
{
	static int set = -1;
	struct epoll_event event = { .events = EPOLLIN };

	if (set < 0) {
		set = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
	}
	return set;
}

static int epolls_for_ever(void)
{
	struct epoll_event event;

	return epoll_wait(epoll_set(), &event, 1, -1);
}

static int epolls(void)
{
	struct epoll_event event;

	return epoll_wait(epoll_set(), &event, 1, LONG * 1000);
}

static int epolls_with_a_mask(void)
{
	struct epoll_event event;
	sigset_t none;

	sigemptyset(&none);
	return epoll_pwait(epoll_set(), &event, 1, -1, &none);
}

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static void handle(int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(SIGUSR1, &action, NULL);
}

static const struct kind {
	const char *name;
	int (*wait)(void);
	bool accepts;
} kinds[] = {
	{ "accept", accepts, true },
	{ "accept4", accepts4, true },
	{ "poll", polls, false },
	{ "poll for ever", polls_for_ever, false },
	{ "__poll_chk", polls_checked, false },
	{ "ppoll", ppolls, false },
	{ "__ppoll_chk", ppolls_checked, false },
	{ "select", selects, false },
	{ "select, and what is left", selects_and_says, false },
	{ "select for ever", selects_for_ever, false },
	{ "epoll_wait", epolls, false },
	{ "epoll_wait for ever", epolls_for_ever, false },
	{ "epoll_pwait", epolls_with_a_mask, false },
};

static void serve_one(const struct kind *kind)
{
	int before = signals, ret = kind->wait();

	if (ret < 0)
		printf("%s%s\n", strerror(errno), signals > before ? " by a signal" : "");
	else if (ret == 0 && !kind->accepts)
		printf("nothing\n");
	else
		printf("client%s\n", signals > before ? " and a signal" : "");
	if (ret > 0)
		close(kind->accepts ? ret : accept(listener, NULL, NULL));
}

static void listens(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof address;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (void *)&address, sizeof address) < 0 || listen(listener, 5) < 0 ||
	    getsockname(listener, (void *)&address, &length) < 0)
		exit(5);
	printf("%d\n", ntohs(address.sin_port));
}

int main(int argc, char **argv)
{
	const struct kind *kind = kinds, *end = kinds + sizeof kinds / sizeof *kinds;
	int rounds;
	void *state;

	if (argc != 5)
		return 2;
	while (kind < end && strcmp(kind->name, argv[1]) != 0)
		kind++;
	if (kind == end)
		return 3;
	setvbuf(stdout, NULL, _IOLBF, 0);
	handle(strcmp(argv[4], "restart") == 0 ? SA_RESTART : 0);
	Py_Initialize();
	listens();
	for (rounds = atoi(argv[3]); rounds > 0; rounds--) {
		if (PyRun_SimpleString(argv[2]) < 0)
			return 4;
		usleep(20000); /* a wait is looked at again */
		state = PyEval_SaveThread();
		serve_one(kind);
		PyEval_RestoreThread(state);
	}
	return 0;
}

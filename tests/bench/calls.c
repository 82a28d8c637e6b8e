/* SPDX-License-Identifier: MIT */
/*
 * What a libc call costs, as a program sees it (through the PLT, so that a preloaded library
 * stands in front of it), and the same function of libc itself, in the same process.
 *
 * A program: reads lines "CALL" and answers each with two numbers. And a
 * shared object, which a Python process uses through ctypes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAIRS 31

int calls_setup(int listens, int serves);
void calls_measure(int call, double *libc_ns, double *more_ns);

typedef int accept4_function(int, struct sockaddr *, socklen_t *, int);
typedef int epoll_wait_function(int, struct epoll_event *, int, int);
typedef int poll_function(struct pollfd *, nfds_t, int);
typedef int select_function(int, fd_set *, fd_set *, fd_set *, struct timeval *);

static struct {
	accept4_function *accept4;
	epoll_wait_function *epoll_wait;
	poll_function *poll;
	select_function *select;
} libc;

static int listener = -1;
static int waited_on = -1; /* what epoll, poll and select look at; never readable */
static int set = -1;

static int find_libc(void)
{
	void *handle = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

	if (!handle)
		return -1;
	libc.accept4 = (accept4_function *)dlsym(handle, "accept4");
	libc.epoll_wait = (epoll_wait_function *)dlsym(handle, "epoll_wait");
	libc.poll = (poll_function *)dlsym(handle, "poll");
	libc.select = (select_function *)dlsym(handle, "select");
	return libc.accept4 && libc.epoll_wait && libc.poll && libc.select ? 0 : -1;
}

/* A socket of this kind on a free port of the loopback interface. */
static int bound(int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -1;
	return fd;
}

/* listens: there is a listening socket. serves: and it is what the process waits for, so that
 * it is ready from here on. Else it waits for another socket. Returns 0 or -1. */
int calls_setup(int listens, int serves)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (find_libc() < 0)
		return -1;
	if (listens) {
		listener = bound(SOCK_STREAM);
		if (listener < 0 || listen(listener, 16) < 0)
			return -1;
	}
	waited_on = serves ? listener : bound(SOCK_DGRAM);
	set = epoll_create1(EPOLL_CLOEXEC);
	if (waited_on < 0 || set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, waited_on, &event) < 0)
		return -1;
	return epoll_wait(set, &event, 1, 0);
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return 1e9 * (double)ts.tv_sec + (double)ts.tv_nsec;
}

#define LOOP(call)                                                                                 \
	while (n--)                                                                                \
	call

static void accepts(bool direct, long n)
{
	if (direct)
		LOOP(libc.accept4(listener, NULL, NULL, 0));
	else
		LOOP(accept4(listener, NULL, NULL, 0));
}

/* A call that fails at once: what comes before it is seen better. */
static void failing_accepts(bool direct, long n)
{
	if (direct)
		LOOP(libc.accept4(-1, NULL, NULL, 0));
	else
		LOOP(accept4(-1, NULL, NULL, 0));
}

static void epoll_waits(bool direct, long n)
{
	struct epoll_event event;

	if (direct)
		LOOP(libc.epoll_wait(set, &event, 1, 0));
	else
		LOOP(epoll_wait(set, &event, 1, 0));
}

static void polls(bool direct, long n)
{
	struct pollfd one = { .fd = waited_on, .events = POLLIN };

	if (direct)
		LOOP(libc.poll(&one, 1, 0));
	else
		LOOP(poll(&one, 1, 0));
}

static void selects(bool direct, long n)
{
	struct timeval none = { 0, 0 };
	fd_set reads;

	FD_ZERO(&reads);
	while (n--) {
		FD_SET(waited_on, &reads);
		if (direct)
			libc.select(waited_on + 1, &reads, NULL, NULL, &none);
		else
			select(waited_on + 1, &reads, NULL, NULL, &none);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, PAIRS, sizeof *values, compare);
	return values[PAIRS / 2];
}

/* Pairs of short loops, so that what else happens on the machine meets both alike. libc: ns per
 * call of its own function. more: what the program's call costs over that. */
void calls_measure(int call, double *libc_ns, double *more_ns)
{
	static void (*const loops[])(bool, long) = { accepts, failing_accepts, epoll_waits, polls,
						     selects };
	static const long n[] = { 8, 128, 128, 64, 32 };
	double alone[PAIRS], more[PAIRS], t[3];
	bool first;
	int i;

	for (i = 0; i < PAIRS; i++) {
		first = i & 1;
		loops[call](first, 2);
		t[0] = now_ns();
		loops[call](first, n[call]);
		t[1] = now_ns();
		loops[call](!first, n[call]);
		t[2] = now_ns();
		alone[i] = (first ? t[1] - t[0] : t[2] - t[1]) / (double)n[call];
		more[i] = (t[2] - t[0]) / (double)n[call] - 2 * alone[i];
	}
	*libc_ns = median(alone);
	*more_ns = median(more);
}

#ifdef PROGRAM
/* listens, serves: as calls_setup takes them. */
int main(int argc, char **argv)
{
	double libc_ns, more_ns;
	char line[64];

	if (argc != 3 || calls_setup(atoi(argv[1]), atoi(argv[2])) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) {
		calls_measure(atoi(line), &libc_ns, &more_ns);
		printf("%.3f %.3f\n", libc_ns, more_ns);
		fflush(stdout);
	}
	return 0;
}
#endif

/* SPDX-License-Identifier: MIT */
/*
 * A program of eight threads, each of which calls every function that the library stands in front
 * of, all at the same moment:
 *	calls_at_once			no Python anywhere
 *	calls_at_once LIBRARY		which is loaded just before
 * With -DNO_MALLOC in it, a listen() that allocates ends it: POSIX lets signal handlers call it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS 8
#define ROUNDS	3

int __poll_chk(struct pollfd *, nfds_t, int, size_t);
int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);

struct PyStatus {
	int type;
	const char *func;
	const char *err_msg;
	int exitcode;
};

/* The library's own: there under it alone. Without an interpreter they do nothing. */
#pragma weak Py_Initialize
#pragma weak Py_InitializeEx
#pragma weak Py_InitializeFromConfig
#pragma weak Py_InitializeFromInitConfig
void Py_Initialize(void);
void Py_InitializeEx(int);
struct PyStatus Py_InitializeFromConfig(const void *);
int Py_InitializeFromInitConfig(void *);

static int arrived;
static int loaded;
static __thread int in_listen;

#ifdef NO_MALLOC
void *__libc_malloc(size_t);
void __libc_free(void *);

void *malloc(size_t size)
{
	if (in_listen)
		abort();
	return __libc_malloc(size);
}

void free(void *p)
{
	if (p && in_listen)
		abort();
	__libc_free(p);
}
#endif

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	_exit(9);
}

static int make_socket(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "socket");
	return fd;
}

static void wait_in_all_ways(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct timespec moment = { 0, 1000 };
	int set = epoll_create1(0);
	struct timeval time;
	struct pollfd p;
	fd_set reads;
	char byte;

	check(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
	check(epoll_wait(set, &event, 1, 1) == 0, "epoll_wait");
	check(epoll_pwait(set, &event, 1, 1, NULL) == 0, "epoll_pwait");
	p = (struct pollfd){ fd, POLLIN, 0 };
	check(poll(&p, 1, 1) == 0, "poll");
	check(ppoll(&p, 1, &moment, NULL) == 0, "ppoll");
#ifdef __GLIBC__
	check(__poll_chk(&p, 1, 1, sizeof p) == 0, "__poll_chk");
	check(__ppoll_chk(&p, 1, &moment, NULL, sizeof p) == 0, "__ppoll_chk");
#endif
	FD_ZERO(&reads);
	FD_SET(fd, &reads);
	time = (struct timeval){ 0, 1000 };
	check(select(fd + 1, &reads, NULL, NULL, &time) == 0, "select");
	time = (struct timeval){ 0, 1000 };
	check(select(0, NULL, NULL, NULL, &time) == 0, "select of none");
	check(clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL) == 0, "clock_nanosleep");
	check(read(fd, &byte, 1) == -1 && errno == ENOTCONN, "read");
	check(recv(fd, &byte, 1, 0) == -1 && errno == ENOTCONN, "recv");
	check(recvfrom(fd, &byte, 1, 0, NULL, NULL) == -1 && errno == ENOTCONN, "recvfrom");
	check(accept(fd, NULL, NULL) == -1 && errno == EAGAIN, "accept");
	check(accept4(fd, NULL, NULL, 0) == -1 && errno == EAGAIN, "accept4");
	close(set);
}

static void fork_once(int fd)
{
	pid_t pid = fork();
	int status;

	check(pid >= 0, "fork");
	if (pid == 0) {
		wait_in_all_ways(fd);
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid && status == 0, "the child");
}

static void initialize(void)
{
	if (loaded || !Py_Initialize)
		return;
	Py_Initialize();
	Py_InitializeEx(0);
	Py_InitializeFromConfig(NULL);
	Py_InitializeFromInitConfig(NULL);
}

/* Not a barrier of pthread's, out of which one comes after the other. */
static void meet(void)
{
	__atomic_add_fetch(&arrived, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&arrived, __ATOMIC_RELAXED) < THREADS)
		sched_yield();
}

static void *all_calls(void *argument)
{
	int fd = make_socket(), ret, i;

	meet();
	in_listen = 1;
	ret = listen(fd, 5);
	in_listen = 0;
	check(ret == 0, "listen");
	for (i = 0; i < ROUNDS; i++)
		wait_in_all_ways(fd);
	initialize();
	fork_once(fd);
	close(fd);
	return argument;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int i;

	setlocale(LC_ALL, "");
	if (argc > 1) {
		loaded = dlopen(argv[1], RTLD_NOW) != NULL;
		if (!loaded) {
			fprintf(stderr, "%s\n", dlerror());
			return 8;
		}
	}
	for (i = 0; i < THREADS; i++)
		check(pthread_create(&threads[i], NULL, all_calls, NULL) == 0, "pthread_create");
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

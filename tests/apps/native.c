/* SPDX-License-Identifier: MIT */
/* An ordinary program, without Python: says what the interposed calls did to it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SAY(call)                                                                                  \
	do {                                                                                       \
		errno = 77;                                                                        \
		long said = (long)(call);                                                          \
		printf("%s = %ld, errno %d\n", #call, said, errno);                                \
	} while (0)

static void on_alarm(int signal)
{
	(void)signal;
}

static void cleaned(int *unused)
{
	(void)unused;
	puts("the cancelled thread cleaned up");
}

static void *wait_for_ever(void *set)
{
	__attribute__((cleanup(cleaned))) int scope = 0;
	struct epoll_event event;

	(void)scope;
	if (set)
		epoll_wait(*(int *)set, &event, 1, -1);
	else
		poll(NULL, 0, -1);
	return NULL;
}

/* C++ destructors and C cleanups run when a wait is cancelled. */
static void cancel(void *set)
{
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, wait_for_ever, set);
	usleep(20000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	printf("cancelled: %d\n", result == PTHREAD_CANCELED);
}

/* The caller's set may be smaller than an fd_set, and end where its memory does. */
static void small_set(int fd)
{
	long page = sysconf(_SC_PAGESIZE);
	char *pages =
	    mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long *set = (unsigned long *)(pages + page) - 1;
	struct timeval none = { 0, 0 };

	mprotect(pages + page, page, PROT_NONE);
	*set = 1ul << fd;
	SAY(select(fd + 1, (fd_set *)set, NULL, NULL, &none));
	printf("set %lx\n", *set);
}

static void list_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	unsigned seen = 0;

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) < 32)
			seen |= 1u << atoi(entry->d_name);
	closedir(dir);
	printf("descriptors %x\n", seen);
}

int main(void)
{
	const char *pending = dlerror();
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	struct epoll_event event = { .events = EPOLLIN };
	struct pollfd one = { .events = POLLIN };
	struct timespec none = { 0, 0 }, moment = { 0, 1000 };
	struct timeval no_time = { 0, 0 };
	fd_set reads;
	int fd, set;
	char byte;

	printf("dlerror: %s\n", pending ? pending : "none");
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	set = epoll_create1(0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	SAY(bind(fd, (struct sockaddr *)&address, sizeof address));
	SAY(listen(fd, 5));
	SAY(listen(-1, 5));
	SAY(accept(fd, NULL, NULL));
	SAY(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	SAY(accept4(-1, NULL, NULL, 0));
	SAY(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	SAY(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	SAY(epoll_ctl(-1, EPOLL_CTL_ADD, fd, &event));
	SAY(epoll_wait(set, &event, 1, 0));
	SAY(epoll_wait(-1, &event, 1, 0));
	SAY(epoll_pwait(set, &event, 1, 0, NULL));
	one.fd = fd;
	SAY(poll(&one, 1, 0));
	SAY(ppoll(&one, 1, &none, NULL));
	SAY(poll(NULL, 0, 0));
	FD_ZERO(&reads);
	FD_SET(fd, &reads);
	SAY(select(fd + 1, &reads, NULL, NULL, &no_time));
	SAY(select(-1, NULL, NULL, NULL, &no_time));
	SAY(select(0, NULL, NULL, NULL, &no_time));
	SAY(read(fd, &byte, 1));
	SAY(read(set, &byte, 0));
	SAY(recv(fd, &byte, 1, 0));
	SAY(recvfrom(fd, &byte, 1, 0, NULL, NULL));
	SAY(recv(-1, &byte, 1, 0));
	SAY(clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL));
	SAY(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &none, NULL));
	SAY(clock_nanosleep(-1, 0, &moment, NULL));
	small_set(fd);
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(poll(NULL, 0, -1));
	cancel(NULL);
	cancel(&set);
	list_descriptors();
	return 3;
}

/* SPDX-License-Identifier: MIT */
/* Functions of an extension module that waits or locks, with or without the GIL. */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

extern void *PyExc_KeyError;
void PyErr_SetString(void *, const char *);

int poll_now(int fd)
{
	struct pollfd one = { fd, POLLIN, 0 };

	return poll(&one, 1, 0);
}

int poll_with_an_exception(int fd)
{
	PyErr_SetString(PyExc_KeyError, "kept");
	return poll_now(fd);
}

static void *poll_there(void *fd)
{
	poll_now((int)(intptr_t)fd);
	return NULL;
}

/* In a thread that Python does not know, whose end is waited for. */
int poll_in_a_native_thread(int fd)
{
	pthread_t thread;
	int ret = pthread_create(&thread, NULL, poll_there, (void *)(intptr_t)fd);

	return ret ? ret : pthread_join(thread, NULL);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int locked, wanted;

int is_locked(void)
{
	return __atomic_load_n(&locked, __ATOMIC_ACQUIRE);
}

/* With the GIL held, as a driver's call into its library. */
int want_mutex(void)
{
	__atomic_store_n(&wanted, 1, __ATOMIC_RELEASE);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return 0;
}

/* Without the GIL, which another thread has that waits for this mutex. */
int fork_under_mutex(void)
{
	int status = -1;
	pid_t pid;

	pthread_mutex_lock(&mutex);
	__atomic_store_n(&locked, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&wanted, __ATOMIC_ACQUIRE))
		usleep(1000);
	pid = fork();
	if (pid == 0)
		_exit(0);
	waitpid(pid, &status, 0);
	pthread_mutex_unlock(&mutex);
	return status;
}

static void lock_when_wanted(void)
{
	pthread_mutex_lock(&mutex);
	__atomic_store_n(&locked, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&wanted, __ATOMIC_ACQUIRE))
		usleep(1000);
}

static void unlock(void)
{
	__atomic_store_n(&locked, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&wanted, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&mutex);
}

/* As a driver: its mutex is held over its own wait, for which another thread waits with the GIL. */
int poll_under_mutex(int fd, int milliseconds)
{
	struct pollfd one = { fd, POLLIN, 0 };
	int ret;

	lock_when_wanted();
	ret = poll(&one, 1, milliseconds);
	unlock();
	return ret;
}

int epoll_under_mutex(int epfd, int milliseconds)
{
	struct epoll_event event;
	int ret;

	lock_when_wanted();
	ret = epoll_wait(epfd, &event, 1, milliseconds);
	unlock();
	return ret;
}

int epoll_pwait_under_mutex(int epfd, int milliseconds)
{
	struct epoll_event event;
	int ret;

	lock_when_wanted();
	ret = epoll_pwait(epfd, &event, 1, milliseconds, NULL);
	unlock();
	return ret;
}

/* C++ calls std::terminate() where a thread is made to end inside a noexcept function. */
static void unwound(int *unused)
{
	(void)unused;
	abort();
}

static void *poll_for_ever(void *fd)
{
	__attribute__((cleanup(unwound))) int scope = 0;

	(void)scope;
	for (;;) {
		struct pollfd one = { (int)(intptr_t)fd, POLLIN, 0 };

		poll(&one, 1, 1);
	}
	return NULL;
}

/* Threads that Python does not know, and that are there until the process ends. */
int poll_in_native_threads(int fd, int number)
{
	pthread_t thread;
	int ret = 0;

	while (number-- > 0 && ret == 0)
		ret = pthread_create(&thread, NULL, poll_for_ever, (void *)(intptr_t)fd);
	return ret;
}

/* SPDX-License-Identifier: MIT */
/* Functions of an extension module that waits with the GIL held. */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>

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

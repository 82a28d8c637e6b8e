/* SPDX-License-Identifier: MIT */
/* read(2) for ourselves: the function of that name is one that the library stands in front of. */
#ifndef GCPRELOAD_BASE_READ_H
#define GCPRELOAD_BASE_READ_H

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static inline ssize_t gcpreload_read(int fd, void *buffer, size_t size)
{
	return syscall(SYS_read, fd, buffer, size);
}

#endif

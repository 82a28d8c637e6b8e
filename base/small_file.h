/* SPDX-License-Identifier: MIT */
/* A small file as a whole: /proc's, a cgroup's, the settings'. No allocation, no stdio. */
#ifndef GCPRELOAD_BASE_SMALL_FILE_H
#define GCPRELOAD_BASE_SMALL_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Reads at most size - 1 bytes into text and terminates them, whatever happens. Returns the length
 * or -errno. What is no file (a fifo, a terminal) is not waited for. */
ssize_t small_file_read(const char *path, char *text, size_t size);

/* The same of one that is open already, or could not be opened (-1, with errno). */
ssize_t small_file_read_and_close(int fd, char *text, size_t size);

#endif

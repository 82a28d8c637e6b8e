/* SPDX-License-Identifier: MIT */
/* Paths in another process's root, which its users have made. */
#ifndef GCPRELOAD_CLI_BENEATH_H
#define GCPRELOAD_CLI_BENEATH_H

/* Opens the directory path, absolute or not, below the open directory root: no link in it is
 * followed. Returns a descriptor or -1 with errno: ELOOP for a symbolic link anywhere in path,
 * EXDEV for "..". */
int beneath_open(int root, const char *path);

/* The same, step by step, for kernels before 5.6 and sandboxes without openat2(2). */
int beneath_walk(int root, const char *path);

/* Opens the file path for reading as a process with that root sees it: links are followed, and do
 * not lead out of it. Returns a descriptor or -1 with errno: ENOSYS where the kernel cannot (before
 * 5.6). */
int beneath_open_as_seen(int root, const char *path);

#endif

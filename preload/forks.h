/* SPDX-License-Identifier: MIT */
/* fork() that is called from C. Every function keeps errno. */
#ifndef GCPRELOAD_PRELOAD_FORKS_H
#define GCPRELOAD_PRELOAD_FORKS_H

#include <sys/types.h>

/* It is called ... */
void forks_begin(void);

/* ... and has returned: 0 in the child. */
void forks_end(pid_t pid);

#endif

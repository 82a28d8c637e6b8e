/* SPDX-License-Identifier: MIT */
/* Control files in a directory of rings (ring/layout.h): a process's, a service's, the directory's.
 */
#ifndef GCPRELOAD_RING_CONTROL_H
#define GCPRELOAD_RING_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring/layout.h"

#define GCPRELOAD_CONTROL_NAME 256

struct gcpreload_control {
	uint64_t serial;
	char verb[GCPRELOAD_CONTROL_SIZE];
};

/* The name of a service's file, or with NULL of the directory's. Of a service's name as much counts
 * as the header of a ring has. */
void gcpreload_control_name(char name[GCPRELOAD_CONTROL_NAME], const char *service);

/* That of a process that has no ring yet. */
void gcpreload_control_process(char name[GCPRELOAD_CONTROL_NAME], int32_t pid, uint64_t start_time);

/* Whether a name is one of a service's, or the directory's. *service: the service's name, "" for
 * the directory's file. */
bool gcpreload_control_whose(const char *name, char service[64]);

/* The same for one of these that is being written: with a dot before, and ".new" behind. */
bool gcpreload_control_half(const char *name);

/* Reads a file that only owner and root may have written. Returns 1, 0 where there is none, or
 * -errno with *why. Allocates nothing. */
int gcpreload_control_read(int dir, const char *name, uid_t owner,
			   struct gcpreload_control *control, const char **why);

#endif

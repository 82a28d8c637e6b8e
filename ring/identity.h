/* SPDX-License-Identifier: MIT */
/* Who this process is, for the header of its ring. System calls only. */
#ifndef GCPRELOAD_RING_IDENTITY_H
#define GCPRELOAD_RING_IDENTITY_H

#include <stddef.h>

#include "ring/layout.h"

/* Fills pid, ppid, uid, pid_namespace, start_time, hostname, command and cgroup; what cannot be
 * found stays 0 or empty. */
void ring_identity_fill(struct gcpreload_header *header);

/* The path of its cgroup that names its container or unit, or nothing. */
void ring_identity_cgroup(char *path, size_t size);

#endif

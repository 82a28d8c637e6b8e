/* SPDX-License-Identifier: MIT */
/* Who this process is, for the header of its ring. System calls only. */
#ifndef GCPRELOAD_RING_IDENTITY_H
#define GCPRELOAD_RING_IDENTITY_H

#include "ring/layout.h"

/* Fills pid, ppid, uid, pid_namespace, start_time, hostname, command and cgroup; what cannot be
 * found stays 0 or empty. */
void ring_identity_fill(struct gcpreload_header *header);

#endif

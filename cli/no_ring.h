/* SPDX-License-Identifier: MIT */
/* Why a process that was named cannot be told anything: there is no ring of it where we looked. */
#ifndef GCPRELOAD_CLI_NO_RING_H
#define GCPRELOAD_CLI_NO_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/procfs.h"

/* A text for people, to be freed: the reason, and what to do. where: the place that was looked at.
 */
char *no_ring_why(int32_t pid, const char *where);

/* Why a running process has none, so far or at all: a text for people, to be freed. *comes: it may
 * have one as soon as it is ready; false: it was removed, there is no room, or a setting forbids
 * it.
 */
char *no_ring_reason(const struct procfs *p, bool *comes);

/* A process without a ring: why it does not take a mode that is in force in dir, where it may be
 * tuned; NULL where it takes it when it begins to serve, does nothing, or has its ring elsewhere.
 * To be freed. */
char *no_ring_out_of_reach(pid_t pid, const char *dir);

#endif

/* SPDX-License-Identifier: MIT */
/* Why a process that was named cannot be told anything: there is no ring of it where we looked. */
#ifndef GCPRELOAD_CLI_NO_RING_H
#define GCPRELOAD_CLI_NO_RING_H

#include <stdint.h>
#include <sys/types.h>

/* A text for people, to be freed: the reason, and what to do. where: the place that was looked at.
 */
char *no_ring_why(int32_t pid, const char *where);

/* What in the settings of a running process keeps it from having one, or for a while; NULL: nothing
 * that is known. To be freed. */
char *no_ring_setting(pid_t pid);

#endif

/* SPDX-License-Identifier: MIT */
/* Why a process that was named cannot be told anything: there is no ring of it where we looked. */
#ifndef GCPRELOAD_CLI_NO_RING_H
#define GCPRELOAD_CLI_NO_RING_H

#include <stdint.h>

/* A text for people, to be freed: the reason, and what to do. where: the place that was looked at.
 */
char *no_ring_why(int32_t pid, const char *where);

#endif

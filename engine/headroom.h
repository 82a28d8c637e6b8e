/* SPDX-License-Identifier: MIT */
/* Mode idle: what the machine leaves it, by memory limit and CPU quota of the cgroup. Pure: no
 * clock, no system call. Times are ns. */
#ifndef GCPRELOAD_ENGINE_HEADROOM_H
#define GCPRELOAD_ENGINE_HEADROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/machine.h"

struct headroom {
	uint64_t looked_ns;
	uint64_t throttled_ns; /* as last seen */
	uint64_t paused_until_ns;
	uint64_t pause_ns; /* of the quota's back-off */
	bool near;	   /* the memory limit */
};

/* Whether the machine is to be looked at: reading its files costs, once a second is enough. */
bool headroom_is_due(const struct headroom *headroom, uint64_t now);

void headroom_look(struct headroom *headroom, uint64_t now, const struct machine *machine);

#endif

/* SPDX-License-Identifier: MIT */
/* Commands from `gcpreload set`, `thaw` and `ready`: the file NAME.ctl beside the ring. */
#ifndef GCPRELOAD_PRELOAD_CONTROL_H
#define GCPRELOAD_PRELOAD_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/layout.h"

struct control_command {
	uint64_t serial;
	char verb[GCPRELOAD_CONTROL_SIZE];
};

/* Whether a command waits that was not taken yet. Looks at the file at most once a second, and
 * never without a ring. */
bool control_pending(uint64_t now_ns);

/* The same, and what it is; it waits until it is taken. */
bool control_read(uint64_t now_ns, struct control_command *command);
void control_taken(uint64_t serial);

#endif

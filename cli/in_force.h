/* SPDX-License-Identifier: MIT */
/* The mode that gcpreload set has put in force for a process that is not told by itself. */
#ifndef GCPRELOAD_CLI_IN_FORCE_H
#define GCPRELOAD_CLI_IN_FORCE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/vocabulary.h"

struct in_force {
	enum gcpreload_mode mode;
	bool all; /* else for its service */
};

/* Of a user's process with its rings in dir; service: its name, or NULL where it is unknown. */
bool in_force_look(struct in_force *in_force, const char *dir, uid_t uid, const char *service);

#endif

/* SPDX-License-Identifier: MIT */
/* What act.c must know from inside inject/; its entrances are in inject.h. */
#ifndef GCPRELOAD_INJECT_ACT_H
#define GCPRELOAD_INJECT_ACT_H

#include <stdbool.h>

/* The calling thread is in os.fork(): the fork() of C that it comes to is not a host's own. */
void act_in_os_fork(bool yes);

#endif

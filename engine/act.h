/* SPDX-License-Identifier: MIT */
/* What act.c must know from inside inject/; its entrances are in inject.h. */
#ifndef GCPRELOAD_ENGINE_ACT_H
#define GCPRELOAD_ENGINE_ACT_H

#include <stdbool.h>

#include "inject/gil.h"
#include "inject/pyapi.h"

/* Opens an action: GIL, state of this process, gc module; false with everything put back. */
bool act_open(struct gil_guard *guard, PyObject **gc);
void act_close(struct gil_guard *guard, PyObject *gc);

/* In a forked child. */
void act_begin_process(void);

/* The calling thread is in os.fork(): the fork() of C that it comes to is not a host's own. */
void act_in_os_fork(bool yes);

#endif

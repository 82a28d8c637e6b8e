/* SPDX-License-Identifier: MIT */
/*
 * Commands from `gcpreload set`, `thaw` and `ready`: the file NAME.ctl beside the ring, and the
 * modes that are in force for a service or a directory, and PID.START.ctl where there is no ring
 * (ring/layout.h). A forked child begins with
 * what its parent was told.
 */
#ifndef GCPRELOAD_PRELOAD_CONTROL_H
#define GCPRELOAD_PRELOAD_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/control.h"
#include "rules/settings.h"

/* When the settings are read. They stay; their mode is read again where a process begins to serve.
 */
void control_start(struct gcpreload_settings *settings);

/* In a forked child. */
void control_begin_process(void);

/* The process is to begin to serve: what is in force is looked at now, and the engine is told the
 * mode to begin with. Where it could not begin it is asked again and again, and looks once a
 * second.
 */
void control_before_acting(uint64_t now_ns);

/* The same before it forks those who serve; each time. */
void control_before_fork(uint64_t now_ns);

/* It has begun to serve. */
void control_begins(void);

/* Whether a command waits that was not taken yet. Looks at the files at most once a second;
 * in a process that has no ring and does not serve not in its first seconds. */
bool control_pending(uint64_t now_ns);

/* The same, and what it is; it waits until it is taken. */
bool control_read(uint64_t now_ns, struct gcpreload_control *command);
void control_taken(const struct gcpreload_control *command);

#endif

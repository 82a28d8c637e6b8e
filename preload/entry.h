/* SPDX-License-Identifier: MIT */
/*
 * The beginning of every way into preload/: in a forked child all starts anew, whoever comes first.
 * What was kept of the process is told so in order, here and nowhere else; what the engine calls
 * (struct gcpreload_engine_hooks) comes in by here, too.
 */
#ifndef GCPRELOAD_PRELOAD_ENTRY_H
#define GCPRELOAD_PRELOAD_ENTRY_H

#include <stdbool.h>

#include "engine/engine.h"
#include "inject/inject.h"

extern const struct gcpreload_engine_hooks entry_hooks;

/* Whether the fork() that this thread is in is made by the only thread there is. */
extern __thread bool entry_forks_alone __attribute__((tls_model("initial-exec")));

/* Starts to look. After gcpreload_self_init; the calling thread counts as the main one. */
void entry_start(void);

void entry_begin_if_new(void);

/* The same, and whether this is the main thread. */
bool entry_on_main_thread(void);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The two moments at which the engine gets a turn by itself, each calling the parts in order: a
 * collection has ended (inside gc.callbacks), and the main thread comes to what was asked for
 * there (between two bytecodes). GIL held, main interpreter.
 */
#ifndef GCPRELOAD_ENGINE_TURN_H
#define GCPRELOAD_ENGINE_TURN_H

#include <stdint.h>

#include "engine/engine.h"
#include "ring/writer.h"

/* Whom to call at the end of each, and before a fork. */
void turn_use(const struct gcpreload_engine_hooks *hooks);

/* Once a millisecond at most. */
void turn_tick(uint64_t now_ns, const struct gcpreload_event *event);

/* What gcpreload_engine_soon brings about. */
void turn_act(void);

/* os.fork() begins. */
void turn_before_fork(void);

#endif

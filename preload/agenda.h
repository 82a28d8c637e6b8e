/* SPDX-License-Identifier: MIT */
/*
 * What is to be done to this process, and when. Nothing here ticks: time is looked at when a
 * server waits (agenda_at_wait) and after collections (agenda_tick). What neither happens in is
 * not reached.
 *
 *	WAITING --trigger fired, +SECONDS passed--> BASELINE --GCPRELOAD_BASELINE passed--> DONE
 *	   ^                                                                                 |
 *	   `------- another listening socket is armed, or accepts:N is reached --------------'
 */
#ifndef GCPRELOAD_PRELOAD_AGENDA_H
#define GCPRELOAD_PRELOAD_AGENDA_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"
#include "inject/inject.h"
#include "rules/trigger.h"

/* This process was attached to while it ran, and is ready; its waits are not seen, and neither are
 * its children's. */
void agenda_attached(void);
bool agenda_sees_waits(void);

/* There is an interpreter, or will be: installs the handler of a signal trigger. */
void agenda_python_found(void);

/* triggers must live for ever. */
void agenda_start(const struct trigger_list *triggers, uint64_t baseline_ns);

/* In a forked child. */
void agenda_begin_process(void);

/* Something happened that may be a trigger; text says what, and stays. */
void agenda_fire(enum trigger_kind kind, const char *text);

/* The same, where no wait is a place to act: after so long, and then at the next occasion. */
void agenda_fire_elsewhere(enum trigger_kind kind, const char *text, uint64_t after_ns);

/* It has settled: that counts where it has no listening socket to wait on, and makes no workers. */
void agenda_settled(void);

/* The process may become ready once more. */
void agenda_reopen(void);

/* At a server's wait: does what is due, takes commands. */
enum gcpreload_acted agenda_at_wait(void);

/* Whether everything is done but commands, so that a look once a second is enough. */
bool agenda_done(void);

/* Counts an accepted connection. */
void agenda_accepted(void);

/* After a collection; where it asked the main thread for; before os.fork(). GIL held, and the
 * process has begun (preload/entry). */
void agenda_tick(uint64_t now_ns);
void agenda_act(void);
void agenda_before_fork(void);

/* fork() in C, of a host whose workers are not made by os.fork(). */
void agenda_before_c_fork(void);

/* Whether it has forked since it listened: a parent, which serves nothing itself. */
bool agenda_is_parent(void);

#endif

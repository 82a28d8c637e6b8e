/* SPDX-License-Identifier: MIT */
/*
 * The home wait of this process, where there is no server's (preload/home says which it is). Only
 * waits of the main thread are asked about that the interpreter's own modules make, which hold no
 * lock there, and only when they have lasted a little: what is answered sooner is no place for a
 * collection, and costs next to nothing. Every function keeps errno.
 */
#ifndef GCPRELOAD_PRELOAD_HOME_WAIT_H
#define GCPRELOAD_PRELOAD_HOME_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/home.h"

#define HOME_LASTS_NS 1000000

/* In a forked child. */
void home_wait_begin_process(void);

/* Whether collections at a home wait are of use now. Any thread, at its leisure: sets what
 * look_at_home says. */
void home_wait_wanted(bool wanted, uint64_t now_ns);

/* A socket listens, and there may be a server's wait: not until home_wait_wanted knows. */
void home_wait_looks_for_server(void);

/* The main thread waits, by the code at caller. False: that is nothing to be looked at. */
bool home_wait_begins(enum home_call call, const void *caller);

/* Whether the wait that has lasted for HOME_LASTS_NS is the home wait. Between
 * gcpreload_inject_wait_begins and _ends. */
bool home_wait_lasts(void);

/* After one that began. */
void home_wait_ended(void);

/* The wait that was looked at was not the home wait, which may be the next one: that one is looked
 * at as well. */
void home_wait_looks_again(void);

#endif

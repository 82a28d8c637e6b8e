/* SPDX-License-Identifier: MIT */
/* The beginning, in a process with Python and in one that gets it later. */
#ifndef GCPRELOAD_PRELOAD_START_H
#define GCPRELOAD_PRELOAD_START_H

#include <stdbool.h>

#include "inject/inject.h"

/* Reads the settings, once, in a process where the constructor found no Python. Returns false
 * where nothing is to be done (disabled, off, another command), and while another thread, or
 * what a signal handler has interrupted, is reading: nobody waits. Says nothing, allocates
 * nothing, takes no lock. */
bool start_late(void);

/* Whether start_late() may answer yes. */
bool start_possible(void);

/* Says what is wrong with the settings, now that there is a Python; once. */
void start_complain(void);

/* Whether the constructor found an interpreter. */
bool start_python_found(void);

#endif

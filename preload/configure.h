/* SPDX-License-Identifier: MIT */
/*
 * The settings are read once, by whoever comes first: the constructor where it finds a Python, else
 * a listen() or Py_Initialize of a host that loads it later. No function here waits: while another
 * thread, or what a signal handler has interrupted, is reading, there is nothing to be done.
 */
#ifndef GCPRELOAD_PRELOAD_CONFIGURE_H
#define GCPRELOAD_PRELOAD_CONFIGURE_H

#include <stdbool.h>

/* For the constructor. False: disabled, off, another command. */
bool configure_now(void);

/* The same in a process where it found no Python. Says nothing, allocates nothing, takes no lock.
 */
bool configure_late(void);

/* Whether configure_late() may answer yes. */
bool configure_possible(void);

/* The library was loaded into an interpreter that runs: nothing is done, until it is attached. */
void configure_loaded_late(void);

/* For gcpreload_attach: whether it may; and reads the settings of that environment, and is told
 * what is wrong with them. Returns 0, -EALREADY (attached, or there from the start), or -ECANCELED:
 * disabled, off, or another command. */
bool configure_may_attach(void);
int configure_attach(char **environment);

/* Whether it was; and not any more. */
bool configure_attached(void);
void configure_detached(void);

/* Nothing is to be done in this process. */
void configure_off(void);

/* Says what is wrong with the settings, now that there is a Python; once. */
void configure_complain(void);

/* Instead of configure_now() where GCPRELOAD_DISABLE is set: says where its value is none. */
void configure_disabled(void);

/* Whether the constructor found an interpreter; and that it did. */
bool configure_with_python(void);
void configure_python_found(void);

#endif

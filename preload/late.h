/* SPDX-License-Identifier: MIT */
/*
 * Hosts that load libpython after their start: uWSGI's plugin, mod_wsgi, embedding programs.
 * Some call Py_Initialize through our export; others (dlsym on the handle) pass it by, and are
 * found when they serve.
 */
#ifndef GCPRELOAD_PRELOAD_LATE_H
#define GCPRELOAD_PRELOAD_LATE_H

#include <stdbool.h>

/* A process without CPython calls listen(): where libpython is loaded, it may turn out to be such
 * a host. Elsewhere nothing happens. Any thread, several at once, signal handlers. */
void late_start(void);

/* An interpreter was found where it begins: in Py_Initialize. */
void late_attached(void);

/* A handle of the loaded libpython, or NULL. It counts as a use of it: an interpreter is not
 * made to be unloaded, and what the observer put into it needs it there. */
void *late_libpython(void);

/* Where the interpreter of this process is, for dlsym: in the program, or in a libpython that a
 * host has loaded for itself. False: there is none. */
bool late_find_python(void **handle);

/* This process was forked, by one that may have had threads: late_start looks for nothing. */
void late_forked(void);

/* At a server's wait in which nothing could be done: is there an interpreter by now? Attaches
 * to it. Any process; at most once a second, and a few times only. */
bool late_attach(void);

/* Whether it is not asked any more. */
bool late_given_up(void);

#endif

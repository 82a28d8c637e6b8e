/* SPDX-License-Identifier: MIT */
/*
 * Lines on the program's standard error or into a file, never on what has got its descriptor
 * since. The reader of that pipe may be slow or gone, and a write that blocks under the GIL stops
 * the whole server: a line is written only if poll(2) says that it will not block, else it is
 * dropped and counted. One write(2) a line.
 */
#ifndef GCPRELOAD_PRELOAD_LOG_H
#define GCPRELOAD_PRELOAD_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

struct log_style {
	enum gcpreload_log_level level;
	enum gcpreload_log_format format;
	const char *path;    /* NULL or empty for standard error, which is the default; else
				appended to */
	const char *service; /* in JSON; NULL or empty: none */
};

/* The texts must stay. */
void log_configure(const struct log_style *style);

/* The service's name, where nobody gave one and it was made since. The text must stay. */
void log_note_service(const char *name);

/* What descriptor 2 is, at the program's start: later a line is written to it only if it still is
 * that. late: the program has run for a while, so only a pipe, a terminal and a file that is
 * appended to are taken for its standard error. */
void log_note_stderr(bool late);

/* Keeps errno. Any thread. */
void log_say(enum gcpreload_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void log_say_record(enum gcpreload_log_level level, const struct gcpreload_log_field *fields,
		    size_t n, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif

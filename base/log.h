/* SPDX-License-Identifier: MIT */
/* What the library has to say, for every part of it. How and where it is said is preload/log's. */
#ifndef GCPRELOAD_BASE_LOG_H
#define GCPRELOAD_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gcpreload_log_level {
	GCPRELOAD_LOG_NONE,
	GCPRELOAD_LOG_ERROR,
	GCPRELOAD_LOG_WARNING,
	GCPRELOAD_LOG_INFO,
	GCPRELOAD_LOG_DEBUG,
};

enum gcpreload_log_format { GCPRELOAD_LOG_TEXT, GCPRELOAD_LOG_JSON };

/* What a line has besides its sentence, for machines: in the sentence it stands as well. */
struct gcpreload_log_field {
	const char *name;
	const char *text; /* NULL: left out */
	bool number;	  /* text is one */
};

/* Says a line; never blocks. Set once, at the start; until then nothing is said. */
extern void (*gcpreload_log)(enum gcpreload_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with fields. */
extern void (*gcpreload_log_record)(enum gcpreload_log_level level,
				    const struct gcpreload_log_field *fields, size_t n,
				    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Lines that could not be said so far: load_relaxed, add_relaxed. */
extern uint64_t gcpreload_log_dropped;

#endif

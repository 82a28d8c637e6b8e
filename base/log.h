/* SPDX-License-Identifier: MIT */
/* What the library has to say, for every part of it. How and where it is said is preload/log's. */
#ifndef GCPRELOAD_BASE_LOG_H
#define GCPRELOAD_BASE_LOG_H

#include <stdint.h>

enum gcpreload_log_level {
	GCPRELOAD_LOG_NONE,
	GCPRELOAD_LOG_ERROR,
	GCPRELOAD_LOG_WARNING,
	GCPRELOAD_LOG_INFO,
	GCPRELOAD_LOG_DEBUG,
};

/* Says a line; never blocks. Set once, at the start; until then nothing is said. */
extern void (*gcpreload_log)(enum gcpreload_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Lines that could not be said so far: load_relaxed, add_relaxed. */
extern uint64_t gcpreload_log_dropped;

#endif

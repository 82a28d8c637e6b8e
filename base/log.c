/* SPDX-License-Identifier: MIT */
#include "base/log.h"

static void log_say_nothing(enum gcpreload_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void log_say_nothing(enum gcpreload_log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

void (*gcpreload_log)(enum gcpreload_log_level level, const char *format, ...) = log_say_nothing;
uint64_t gcpreload_log_dropped;

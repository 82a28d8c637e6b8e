/* SPDX-License-Identifier: MIT */
#include "base/log.h"

static void log_say_nothing(enum gcpreload_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void log_say_nothing(enum gcpreload_log_level level, const char *format, ...)
{
	(void)level;
	(void)format;
}

static void log_record_nothing(enum gcpreload_log_level level,
			       const struct gcpreload_log_field *fields, size_t n,
			       const char *format, ...) __attribute__((format(printf, 4, 5)));

static void log_record_nothing(enum gcpreload_log_level level,
			       const struct gcpreload_log_field *fields, size_t n,
			       const char *format, ...)
{
	(void)level;
	(void)fields;
	(void)n;
	(void)format;
}

void (*gcpreload_log)(enum gcpreload_log_level level, const char *format, ...) = log_say_nothing;
void (*gcpreload_log_record)(enum gcpreload_log_level level,
			     const struct gcpreload_log_field *fields, size_t n, const char *format,
			     ...) = log_record_nothing;
uint64_t gcpreload_log_dropped;

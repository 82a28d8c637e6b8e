/* SPDX-License-Identifier: MIT */
/* A line of the log as a JSON object, made in a buffer of the caller's: no allocation, no lock. */
#ifndef GCPRELOAD_PRELOAD_LOG_JSON_H
#define GCPRELOAD_PRELOAD_LOG_JSON_H

#include <stddef.h>

#include "base/log.h"

#define LOG_JSON_BYTES 2048

struct log_json {
	enum gcpreload_log_level level;
	const char *service; /* or NULL */
	const struct gcpreload_log_field *fields;
	size_t n;
};

/* time, level, service, pid, the fields, message; and a newline. It is whole and valid UTF-8
 * whatever the texts are: fields without room are left out, and the message is cut. Returns the
 * length. */
size_t log_json_line(char line[LOG_JSON_BYTES], const struct log_json *what, const char *message);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The types of settings.def. Of each TYPE: SETTINGS_C_TYPE, what it is in struct
 * gcpreload_settings, and SETTINGS_ROW_TYPE, its part of a struct settings_row.
 */
#ifndef GCPRELOAD_RULES_TYPES_H
#define GCPRELOAD_RULES_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vocabulary.h"

struct settings_row;

/* Puts the value of a text into field; false, with field untouched, if it is not allowed. */
typedef bool types_parser(const struct settings_row *row, const char *text, void *field);

typedef int32_t types_thresholds[GCPRELOAD_GENERATIONS];

#define GCPRELOAD_KEEP 0 /* a threshold that stays as it is */

types_parser types_boolean, types_choice, types_trigger, types_thresholds_of, types_milliseconds,
    types_seconds, types_ratio, types_text, types_path, types_directory, types_number_or_nothing,
    types_globs;

/* Words are of any case. "0", "false", "no" and "off", and their opposites. */
#define SETTINGS_C_boolean   bool
#define SETTINGS_ROW_boolean .parse = types_boolean, .allowed = "0 or 1"

/* The words are those of the text, and the constants of the enum, in that order. */
#define SETTINGS_C_choice(type, words)	 type
#define SETTINGS_ROW_choice(type, words) .parse = types_choice, .allowed = (words)

#define SETTINGS_C_trigger const char *
#define SETTINGS_ROW_trigger                                                                       \
	.parse = types_trigger, .is_text = true,                                                   \
	.allowed = "none, or a list of auto, import:MODULE, signal[:NAME], delay:SECONDS, "        \
		   "accepts:N and fork, each with an optional +SECONDS"

#define SETTINGS_C_thresholds(least, most) types_thresholds
#define SETTINGS_ROW_thresholds(least, most)                                                       \
	.parse = types_thresholds_of, .low = (least), .high = (most),                              \
	.allowed = "three numbers from " #least " to " #most ", or keep, separated by commas"

/* Times: with decimals or units; kept in nanoseconds. */
#define SETTINGS_C_milliseconds(least, most) uint64_t
#define SETTINGS_ROW_milliseconds(least, most)                                                     \
	.parse = types_milliseconds, .low = (uint64_t)(1000000.0 * (least)),                       \
	.high = (uint64_t)(1000000.0 * (most)),                                                    \
	.allowed = "milliseconds from " #least " to " #most ", or such as 1500us, 10ms, 1s"

#define SETTINGS_C_seconds(least, most) uint64_t
#define SETTINGS_ROW_seconds(least, most)                                                          \
	.parse = types_seconds, .low = 1000000000ull * (least), .high = 1000000000ull * (most),    \
	.allowed = "seconds from " #least " to " #most ", or such as 90s, 10m, 1h30m"

/* With decimals; kept in millionths. */
#define SETTINGS_C_ratio(least, most) uint32_t
#define SETTINGS_ROW_ratio(least, most)                                                            \
	.parse = types_ratio, .low = 1000000u * (least), .high = 1000000u * (most),                \
	.allowed = "a number from " #least " to " #most ", or such as 10% or 1/10"

/* Each is shorter than this. */
#define TYPES_GLOB_MAX 512

#define SETTINGS_C_globs const char *
#define SETTINGS_ROW_globs                                                                         \
	.parse = types_globs, .is_text = true, .allowed = "globs separated by commas"

#define SETTINGS_C_text	  const char *
#define SETTINGS_ROW_text .parse = types_text, .is_text = true, .allowed = "any text"

#define SETTINGS_C_path const char *
#define SETTINGS_ROW_path                                                                          \
	.parse = types_path, .is_text = true, .allowed = "an absolute path, or nothing"

#define SETTINGS_C_directory const char *
#define SETTINGS_ROW_directory                                                                     \
	.parse = types_directory, .is_text = true, .allowed = "an absolute path on tmpfs"

/* -1 for nothing; and (gid_t)-1 means no group. */
#define SETTINGS_C_group int64_t
#define SETTINGS_ROW_group                                                                         \
	.parse = types_number_or_nothing, .high = 4294967294, .allowed = "a numeric group id"

#define SETTINGS_C_index(most) int64_t
#define SETTINGS_ROW_index(most)                                                                   \
	.parse = types_number_or_nothing, .high = (most),                                          \
	.allowed = "a number from 0 to " #most ", or nothing"

#endif

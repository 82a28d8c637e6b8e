/* SPDX-License-Identifier: MIT */
/* The library's settings as options and as an environment. */
#ifndef GCPRELOAD_CLI_ENVIRONMENT_H
#define GCPRELOAD_CLI_ENVIRONMENT_H

#include <stddef.h>

#include "rules/settings.h"

#define ENVIRONMENT_NAME 64 /* room for the name of any setting */

/* The option of a setting, without dashes: log-file. Returns out. */
char *environment_option(char *out, size_t size, const struct settings_row *row);

/* Its variable: GCPRELOAD_LOG_FILE. Returns out. */
char *environment_variable(char *out, size_t size, const struct settings_row *row);

/* Its name in the file: log_file. Returns out. */
char *environment_file_name(char *out, size_t size, const struct settings_row *row);

/* Puts it into this process's environment; NULL takes it out. */
void environment_set(const struct settings_row *row, const char *value);

/* Prints the settings as options, for run --help. */
void environment_help(void);

/* Prepends the library to LD_PRELOAD, unless it is there already. */
void environment_preload(const char *library);

#endif

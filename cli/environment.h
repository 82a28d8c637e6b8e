/* SPDX-License-Identifier: MIT */
/* The library's settings, from its own table, as options and as an environment. */
#ifndef GCPRELOAD_CLI_ENVIRONMENT_H
#define GCPRELOAD_CLI_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>

struct setting {
	const char *variable; /* GCPRELOAD_LOG_FILE */
	const char *type;
	const char *standard;
	const char *allowed;
	const char *help;
};

extern const struct setting environment_settings[];
extern const size_t environment_n_settings;

/* The option of a setting, without dashes: log-file. Returns out. */
char *environment_option(char *out, size_t size, const struct setting *setting);

/* The setting of a variable, or NULL. */
const struct setting *environment_find(const char *variable);

/* Whether the library can use the value. Where only the library knows, it is allowed. */
bool environment_allows(const struct setting *setting, const char *value);

/* Prints the settings as options, for run --help. */
void environment_help(void);

/* Prepends the library to LD_PRELOAD, unless it is there already. */
void environment_preload(const char *library);

#endif

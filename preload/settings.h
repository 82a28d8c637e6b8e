/* SPDX-License-Identifier: MIT */
/* The settings of settings.def: environment beats file beats default. */
#ifndef GCPRELOAD_PRELOAD_SETTINGS_H
#define GCPRELOAD_PRELOAD_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/settings.h"

typedef void settings_complain(const char *sentence);

/* Whether GCPRELOAD_DISABLE says to do nothing. Nothing else is read, nothing is said. */
bool settings_disabled(char **environment);

/* Fills settings; texts are borrowed from the environment and from a static buffer. A setting
 * that is unknown is ignored, one that cannot be used gets its default, and complain (or NULL) is
 * called with one sentence. */
void settings_read(struct gcpreload_settings *settings, char **environment,
		   settings_complain *complain);

/* One setting by its name in upper case, as it stands in a file. where: "line 3 of FILE", or
 * empty for the environment. */
void settings_set(struct gcpreload_settings *settings, const char *name, size_t name_length,
		  const char *value, const char *where, settings_complain *complain);

#endif

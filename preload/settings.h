/* SPDX-License-Identifier: MIT */
/* The settings of this process (rules/settings.h). */
#ifndef GCPRELOAD_PRELOAD_SETTINGS_H
#define GCPRELOAD_PRELOAD_SETTINGS_H

#include "rules/settings.h"

typedef void settings_complain(const char *sentence);

/* Fills settings; texts are copied, and stay. Tells the log where it goes. A setting that is
 * unknown is ignored, one that cannot be used gets its default, and complain (or NULL) is called
 * with one sentence, unless the process is excluded. */
void settings_read(struct gcpreload_settings *settings, char **environment,
		   settings_complain *complain);

#endif

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

/* Reads the mode in the settings file anew, where the environment does not say it. A file that
 * cannot be read, in a chroot for example, changes nothing; one that cannot be used means observe,
 * as does for good what could not be used at the start. One thread at a time. */
void settings_mode_again(struct gcpreload_settings *settings);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The file with settings:
 *
 *	# for every process
 *	log = info
 *	[*gunicorn*]
 *	# for those whose command line matches the glob
 *	mode = observe
 */
#ifndef GCPRELOAD_PRELOAD_CONFIG_H
#define GCPRELOAD_PRELOAD_CONFIG_H

#include "preload/settings.h"

/* Applies the file. A missing file is said only where explicit_path. */
void config_read(struct gcpreload_settings *settings, const char *path, bool explicit_path,
		 settings_complain *complain);

/* Whether this process's command line (arguments separated by spaces) matches one of globs,
 * separated by commas. A worker of multiprocessing counts also as what started it. */
bool config_matches(const char *globs);

#endif

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
#ifndef GCPRELOAD_RULES_CONFIG_H
#define GCPRELOAD_RULES_CONFIG_H

#include "rules/settings.h"

/* Applies the file settings->conf. named: by the environment, so that a missing one
 * is said. */
void config_apply(struct gcpreload_settings *settings, const struct settings_asker *asker,
		  bool named);

#endif

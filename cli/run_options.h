/* SPDX-License-Identifier: MIT */
/* The options of `gcpreload run`: the settings. */
#ifndef GCPRELOAD_CLI_RUN_OPTIONS_H
#define GCPRELOAD_CLI_RUN_OPTIONS_H

#include "cli/command.h"
#include "rules/settings.h"

/* Is told of each setting that was given, which is in the environment by then. */
typedef void run_options_heard(void *arg, const struct settings_row *row);

/* Takes the options of argv, whose first word is "run", into this process's environment.
 * Returns -1 with optind behind them, or the exit status of what is said to
 * be wrong. */
int run_options_take(const struct command *command, int argc, char **argv, run_options_heard *heard,
		     void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/* Options of a sub-command: getopt_long(3) with our messages, and -h/--help everywhere. */
#ifndef GCPRELOAD_CLI_OPTIONS_H
#define GCPRELOAD_CLI_OPTIONS_H

#include <getopt.h>

#include "cli/command.h"

struct options {
	const struct command *command;
	int argc;
	char **argv;
	const char *shorts; /* as getopt's; begins with ":" or "+:", and has an h */
	const struct option *longs;
	int exit; /* the exit status, where options_next says so */
	int begun;
};

#define OPTION_HELP                                                                                \
	{                                                                                          \
		"help", no_argument, NULL, 'h'                                                     \
	}
#define OPTION_JSON                                                                                \
	{                                                                                          \
		"json", no_argument, NULL, 'j'                                                     \
	}

/* The next option, or -1 behind the last (operands begin at argv[optind]). For 'h', '?' and ':'
 * everything has been said: return options->exit. */
int options_next(struct options *options);

/* Prints a command's usage and help. */
void options_help(const struct command *command);

/* Says what is wrong with the command line ("WHAT: WHY") and how to get help. Returns
 * EXIT_USAGE. */
int options_wrong(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

/* SPDX-License-Identifier: MIT */
/* gcpreload run: becomes another program, with the library in front of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/environment.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/text.h"

/* As env(1), nice(1) and the shells have it. */
#define EXIT_NOT_FOUND 127
#define EXIT_NOT_RUN   126

#define FIRST_SETTING 1000 /* getopt's value of the first setting; beyond all letters */

/* A boolean may stand alone: --force is --force=1. Names stay allocated: getopt has them. */
static struct option *make_options(void)
{
	struct option *options = need(calloc(environment_n_settings + 2, sizeof *options));
	char name[64];
	size_t i;

	for (i = 0; i < environment_n_settings; i++) {
		const struct setting *s = &environment_settings[i];

		environment_option(name, sizeof name, s);
		options[i].name = need(strdup(name));
		options[i].has_arg =
		    strcmp(s->type, "boolean") == 0 ? optional_argument : required_argument;
		options[i].val = FIRST_SETTING + (int)i;
	}
	options[i] = (struct option)OPTION_HELP;
	return options;
}

static void free_options(struct option *options)
{
	size_t i;

	for (i = 0; i < environment_n_settings; i++)
		free((char *)options[i].name);
	free(options);
}

static int set(const struct command *command, const struct setting *setting, const char *value)
{
	char option[64];

	if (!setting)
		return EXIT_USAGE;
	if (!environment_allows(setting, value))
		return options_wrong(command, "--%s: %s is not %s",
				     environment_option(option, sizeof option, setting),
				     *value ? value : "an empty text", setting->allowed);
	setenv(setting->variable, value, 1);
	return -1;
}

static int run_options(const struct command *command, int argc, char **argv)
{
	struct option *longs = make_options();
	struct options o = { command, argc, argv, "+:m:t:h", longs, -1, 0 };
	int c, ret = -1;

	while (ret < 0 && (c = options_next(&o)) != -1) {
		if (c == 'h' && o.exit == EXIT_FINE)
			environment_help();
		if (o.exit >= 0)
			ret = o.exit;
		else if (c == 'm')
			ret = set(command, environment_find("GCPRELOAD_MODE"), optarg);
		else if (c == 't')
			ret = set(command, environment_find("GCPRELOAD_TRIGGER"), optarg);
		else
			ret = set(command, &environment_settings[c - FIRST_SETTING],
				  optarg ? optarg : "1");
	}
	free_options(longs);
	return ret;
}

static int exec(const struct command *command, int argc, char **argv)
{
	char library[4096], *why;
	int ret = run_options(command, argc, argv);

	if (ret >= 0)
		return ret;
	if (optind >= argc)
		return options_wrong(command, "the command to run is missing");
	if (locate_library(library, sizeof library, &why) < 0) {
		complain("%s", why);
		free(why);
		return EXIT_NO;
	}
	environment_preload(library);
	argv += optind;
	execvp(argv[0], argv);
	ret = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
	complain("%s: cannot be run: %s; %s", argv[0], strerror(errno),
		 ret == EXIT_NOT_FOUND ? "look at its name and at PATH" : "ask: gcpreload doctor");
	return ret;
}

const struct command command_run = {
	.name = "run",
	.usage = "[-m MODE] [-t TRIGGER] [--SETTING=VALUE ...] [--] COMMAND...",
	.summary = "run a program under the library",
	.help =
	    "Finds libgcpreload.so beside this command, in ../lib, or where it is installed,\n"
	    "puts it first in LD_PRELOAD, and becomes COMMAND. Exit status: COMMAND's own; 127\n"
	    "where it is not found, 126 where it cannot be run, 1 without the library.\n"
	    "\n"
	    "  -m MODE            --mode=MODE\n"
	    "  -t TRIGGER         --trigger=TRIGGER\n"
	    "\n"
	    "Each setting is an option, and the variable GCPRELOAD_NAME:\n",
	.exec = exec,
};

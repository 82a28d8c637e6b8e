/* SPDX-License-Identifier: MIT */
#include "cli/run_options.h"

#include <stdlib.h>
#include <string.h>

#include "cli/environment.h"
#include "cli/memory.h"
#include "cli/options.h"

#define FIRST_SETTING 1000 /* getopt's value of the first setting; beyond all letters */

/* A boolean may stand alone: --force is --force=1. Names stay allocated: getopt has them. */
static struct option *make_options(void)
{
	struct option *options = memory_need(calloc(SETTINGS + 2, sizeof *options));
	char name[ENVIRONMENT_NAME];
	size_t i;

	for (i = 0; i < SETTINGS; i++) {
		const struct settings_row *row = &settings_rows[i];

		options[i].name = memory_need(strdup(environment_option(name, sizeof name, row)));
		options[i].has_arg =
		    row->parse == types_boolean ? optional_argument : required_argument;
		options[i].val = FIRST_SETTING + (int)i;
	}
	options[i] = (struct option)OPTION_HELP;
	return options;
}

static void free_options(struct option *options)
{
	size_t i;

	for (i = 0; i < SETTINGS; i++)
		free((char *)options[i].name);
	free(options);
}

static int take_setting(const struct command *command, const struct settings_row *row,
			const char *value)
{
	char option[ENVIRONMENT_NAME];

	if (!settings_allow(row, value))
		return options_wrong(command, "--%s: %s is not %s",
				     environment_option(option, sizeof option, row),
				     *value ? value : "an empty text", row->allowed);
	environment_set(row, value);
	return -1;
}

int run_options_take(const struct command *command, int argc, char **argv, run_options_heard *heard,
		     void *arg)
{
	struct option *longs = make_options();
	struct options o = { command, argc, argv, "+:m:t:h", longs, -1, 0 };
	const struct settings_row *row;
	int c, ret = -1;

	while (ret < 0 && (c = options_next(&o)) != -1) {
		if (o.exit >= 0) {
			ret = o.exit;
			break;
		}
		row = &settings_rows[c == 'm'	? SETTINGS_MODE
				     : c == 't' ? SETTINGS_TRIGGER
						: c - FIRST_SETTING];
		ret = take_setting(command, row, optarg ? optarg : "1");
		if (ret < 0 && heard)
			heard(arg, row);
	}
	free_options(longs);
	return ret;
}

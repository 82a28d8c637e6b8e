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
#include "cli/run_options.h"
#include "cli/text.h"

/* As env(1), nice(1) and the shells have it. */
#define EXIT_NOT_FOUND 127
#define EXIT_NOT_RUN   126

static int exec_run(const struct command *command, int argc, char **argv)
{
	char library[4096], *why;
	int ret = run_options_take(command, argc, argv, NULL, NULL);

	if (ret == EXIT_FINE)
		environment_help();
	if (ret >= 0)
		return ret;
	if (optind >= argc)
		return options_wrong(command, "no COMMAND given");
	if (locate_library(library, sizeof library, &why) < 0) {
		text_complain("%s", why);
		free(why);
		return EXIT_NO;
	}
	environment_preload(library);
	argv += optind;
	execvp(argv[0], argv);
	ret = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
	text_complain("%s: cannot be run: %s; %s", argv[0], strerror(errno),
		      ret == EXIT_NOT_FOUND ? "check its name and PATH" : "see: gcpreload doctor");
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
	.exec = exec_run,
};

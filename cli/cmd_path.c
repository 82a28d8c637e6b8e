/* SPDX-License-Identifier: MIT */
/* gcpreload path: where the library is, for those who set LD_PRELOAD themselves. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/locate.h"
#include "cli/options.h"
#include "cli/text.h"

static int exec_path(const struct command *command, int argc, char **argv)
{
	static const struct option longs[] = { OPTION_HELP, { 0 } };
	struct options o = { command, argc, argv, ":h", longs, -1, 0 };
	char library[4096], *why;

	if (options_next(&o) >= 0)
		return o.exit;
	if (optind < argc)
		return options_wrong(command, "%s: unexpected argument", argv[optind]);
	if (locate_library(library, sizeof library, &why) < 0) {
		text_complain("%s", why);
		free(why);
		return EXIT_NO;
	}
	puts(library);
	return EXIT_FINE;
}

const struct command command_path = {
	.name = "path",
	.usage = "[-h]",
	.summary = "print the path of libgcpreload.so",
	.help =
	    "For commands that set LD_PRELOAD themselves; gcpreload run does it for its COMMAND.\n",
	.exec = exec_path,
};

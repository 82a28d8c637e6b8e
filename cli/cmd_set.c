/* SPDX-License-Identifier: MIT */
/* gcpreload set: changes the mode of running processes. */
#include "cli/rings.h"
#include "cli/tell.h"

static int exec_set(const struct command *command, int argc, char **argv)
{
	return tell_exec(command, argc, argv, NULL);
}

const struct command command_set = {
	.name = "set",
	.usage = TELL_TARGETS " mode=(off | observe | freeze | idle | concurrent)",
	.summary = "change the mode of running processes",
	.help = "mode=off and mode=observe unfreeze, and restore the interpreter's thresholds.\n"
		"\n" TELL_HELP,
	.exec = exec_set,
};

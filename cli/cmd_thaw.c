/* SPDX-License-Identifier: MIT */
/* gcpreload thaw: undoes the freeze of running processes. */
#include "cli/rings.h"
#include "cli/tell.h"

static int exec_thaw(const struct command *command, int argc, char **argv)
{
	return tell_exec(command, argc, argv, "thaw");
}

const struct command command_thaw = {
	.name = "thaw",
	.usage = TELL_TARGETS,
	.summary = "unfreeze running processes and restore their thresholds",
	.help = TELL_HELP,
	.exec = exec_thaw,
};

/* SPDX-License-Identifier: MIT */
/* gcpreload ready: tells running processes that they are ready, whatever the trigger thinks. */
#include "cli/rings.h"
#include "cli/tell.h"

static int exec_ready(const struct command *command, int argc, char **argv)
{
	return tell_exec(command, argc, argv, "ready");
}

const struct command command_ready = {
	.name = "ready",
	.usage = TELL_TARGETS,
	.summary = "collect and freeze now, without waiting for the trigger",
	.help = TELL_HELP,
	.exec = exec_ready,
};

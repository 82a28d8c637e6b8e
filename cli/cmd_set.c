/* SPDX-License-Identifier: MIT */
/* gcpreload set: changes the mode of processes. */
#include "cli/rings.h"
#include "cli/tell.h"

static int exec_set(const struct command *command, int argc, char **argv)
{
	return tell_exec(command, argc, argv, NULL);
}

const struct command command_set = {
	.name = "set",
	.usage = TELL_TARGETS
	" mode=(off | observe | freeze | idle | concurrent | default)\n--list [--json]",
	.summary = "change the mode of processes, and keep it changed",
	.help =
	    "For --all and --service the mode stays in force: also for processes that start\n"
	    "later, until it is taken back by mode=default, with the same words. It wins over\n"
	    "environment and settings file; of several, the newest counts. For a PID it ends\n"
	    "with the process and what it forks.\n"
	    "\n"
	    "mode=off and mode=observe unfreeze, and restore the interpreter's thresholds.\n"
	    "\n" TELL_OPTIONS
	    "  --list             show the modes that are in force, and since when\n"
	    "  --json             print the list as a JSON array\n" RINGS_HELP "\n"
	    "A process takes a mode within a second, when it waits for requests or collects;\n"
	    "an idle gunicorn worker within half of its --timeout. A new process takes it\n"
	    "before it collects or freezes.\n"
	    "\n"
	    "Exit status 0: every process that serves has it. 1: one did not answer in time, or\n"
	    "did not change (a process that stands back does not), or cannot be reached. Parents\n"
	    "that only fork workers are counted apart: they hand the mode on.\n"
	    "\n"
	    "A process that was started with mode off, or with GCPRELOAD_DISABLE, has no code of\n"
	    "the library in it and stays so. One with GCPRELOAD_RING=off reads no commands.\n"
	    "The directory is in memory: after a restart of the machine, or of a container that\n"
	    "has its own, nothing is in force.\n",
	.exec = exec_set,
};

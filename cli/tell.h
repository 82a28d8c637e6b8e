/* SPDX-License-Identifier: MIT */
/* Telling processes what to do through the control files beside their rings (ring/layout.h): no
 * signal, no /proc, no pid of another namespace is ever trusted. */
#ifndef GCPRELOAD_CLI_TELL_H
#define GCPRELOAD_CLI_TELL_H

#include "cli/command.h"

/* The rest of a sub-command that tells: options, (PID...|--service NAME|--all), and the verb.
 * verb NULL: one of the operands is it, in the form mode=MODE. Returns the exit status. */
int tell_exec(const struct command *command, int argc, char **argv, const char *verb);

#define TELL_TARGETS "(PID... | --service NAME | --all)"
#define TELL_OPTIONS                                                                               \
	"  --all              all running processes\n"                                             \
	"  --service NAME     the processes of service NAME\n"                                     \
	"  --wait SECONDS     how long to wait for answers (default: 60)\n"                        \
	"  --no-wait          do not wait: exit status 0 says only that it was written\n"
#define TELL_HELP                                                                                  \
	TELL_OPTIONS RINGS_HELP                                                                    \
	    "\n"                                                                                   \
	    "Exit status 0: every process that serves has it. 1: one did not answer in time, or\n" \
	    "did not change (a process that stands back does not), or cannot be reached.\n"        \
	    "Parents that only fork workers are counted apart. Commands are read once a second,\n" \
	    "when a process waits for requests or collects; a process that does neither acts\n"    \
	    "later: an idle gunicorn worker within half of its --timeout. A process that has\n"    \
	    "no measurements yet can be told by its PID.\n"

#endif

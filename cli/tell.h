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
#define TELL_HELP                                                                                  \
	"  --all              all running processes\n"                                             \
	"  --service NAME     the processes of service NAME\n"                                     \
	"  --timeout SECONDS  how long to wait for answers (default: 5)\n" RINGS_HELP "\n"         \
	"Exit status 1: a process did not answer, or did not change. A process that stands\n"      \
	"back does not change. Commands are read once a second, when a process waits for\n"        \
	"requests or collects; a process that does neither acts later. A process that is\n"        \
	"not ready yet has no measurements, and receives no commands.\n"

#endif

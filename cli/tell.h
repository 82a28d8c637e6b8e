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
	"  --all              all living processes\n"                                              \
	"  --service NAME     those of a service\n"                                                \
	"  --timeout SECONDS  how long to wait for answers (default: 5)\n" RINGS_HELP "\n"         \
	"Exit status 1 where one did not answer, or is not as it was told to be: what stands "     \
	"back\n"                                                                                   \
	"stays as it is. A process looks once a second, at its next wait for work or its next\n"   \
	"collection; one that does neither is not reached, and acts when it next does. What "      \
	"waits\n"                                                                                  \
	"for its trigger has no measurements yet, and cannot be told.\n"

#endif

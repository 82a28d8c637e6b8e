/* SPDX-License-Identifier: MIT */
/* Which processes the settings leave out, as doctor sees it. */
#ifndef GCPRELOAD_CLI_DOCTOR_SCOPE_H
#define GCPRELOAD_CLI_DOCTOR_SCOPE_H

#include <sys/types.h>

#include "cli/doctor/findings.h"
#include "cli/procfs.h"

/* Whether GCPRELOAD_ONLY and GCPRELOAD_EXCEPT of this environment let a process with this command
 * line in, or with that of its origin, which may be ""; and whether a file with settings may say
 * otherwise. */
void scope_check(const char *command_line, const char *origin, struct findings *findings);

/* The command line of the ancestor that a running process counts as, because its own says only
 * that multiprocessing started it; else "". */
void scope_origin(pid_t pid, char line[PROCFS_COMMAND_LINE]);

#endif

/* SPDX-License-Identifier: MIT */
/* Which processes the settings leave out, as doctor sees it. */
#ifndef GCPRELOAD_CLI_SCOPE_H
#define GCPRELOAD_CLI_SCOPE_H

#include "cli/findings.h"

/* Whether GCPRELOAD_ONLY and GCPRELOAD_EXCEPT of this environment let a process with this command
 * line in; and whether a file with settings may say otherwise. */
void scope_check(const char *command_line, struct findings *findings);

#endif

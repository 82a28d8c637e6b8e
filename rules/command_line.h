/* SPDX-License-Identifier: MIT */
/* Processes by their command line: arguments separated by spaces. */
#ifndef GCPRELOAD_RULES_COMMAND_LINE_H
#define GCPRELOAD_RULES_COMMAND_LINE_H

#include <stdbool.h>
#include <sys/types.h>

#define COMMAND_LINE_MAX 4096 /* of it so much is looked at */

/* Whether it matches one of globs, separated by commas. */
bool command_line_matches(const char *globs, const char *line);

/* Whether it says only that multiprocessing or its kin started the process, and not what it is:
 * then it counts also as the nearest ancestor that has a name. */
bool command_line_is_nameless(const char *line);

/* Of the process pid: its parent, with the parent's command line, if that is the same user's and
 * under the library; else 0. */
typedef pid_t command_line_parent(void *arg, pid_t pid, char line[COMMAND_LINE_MAX]);

/* The command line of the ancestor that a process without a name counts as, or "". */
void command_line_of_ancestor(char line[COMMAND_LINE_MAX], pid_t pid, command_line_parent *parent,
			      void *arg);

#endif

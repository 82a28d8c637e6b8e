/* SPDX-License-Identifier: MIT */
/* What a command line runs: a program, or a script, module or code that an interpreter runs. */
#ifndef GCPRELOAD_RULES_PROGRAM_H
#define GCPRELOAD_RULES_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>

#include "rules/command_line.h"

#define PROGRAM_WORDS 128 /* what comes behind them is not looked at */

struct program {
	char text[COMMAND_LINE_MAX];
	const char *list[PROGRAM_WORDS];
	size_t n;
	size_t at; /* of the program, script or module, or of the code's first word; n: of none */
	bool code; /* Python's code: -c */
};

/* command: arguments separated by spaces. */
void program_read(struct program *program, const char *command);

/* What stands behind the last slash. */
const char *program_base_name(const char *path);

/* Whether a word is in a list, whose end is NULL. */
bool program_is_one_of(const char *word, const char *const *list);

#endif

/* SPDX-License-Identifier: MIT */
/* The interpreter in a process: which file has it, which version it is, where its functions are. */
#ifndef GCPRELOAD_CLI_ATTACH_PYTHON_H
#define GCPRELOAD_CLI_ATTACH_PYTHON_H

#include "cli/attach_target.h"

/* Both as attach_target_read: NULL, or why not. */
char *attach_python_find(struct attach_target *t);

/* Whether it runs: not yet, or no more? */
char *attach_python_ending(const struct attach_target *t);

#endif

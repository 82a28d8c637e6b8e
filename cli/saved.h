/* SPDX-License-Identifier: MIT */
/* What report --json wrote into a file. */
#ifndef GCPRELOAD_CLI_SAVED_H
#define GCPRELOAD_CLI_SAVED_H

#include "cli/json_read.h"

/* The array of its processes, or NULL, which is said on stderr. *report owns it and is to be
 * forgotten (json_forget), with NULL, too. */
const struct json_value *saved_processes(struct json_value **report, const char *path);

#endif

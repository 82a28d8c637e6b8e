/* SPDX-License-Identifier: MIT */
/* Control files as the command writes and lists them (ring/layout.h): of a process, of a service,
 * of a directory. */
#ifndef GCPRELOAD_CLI_STANDING_H
#define GCPRELOAD_CLI_STANDING_H

#include <stdbool.h>

#include "cli/rings.h"

/* Replaces a control file whole. Returns 0 or -errno. */
int standing_write(const struct rings_dir *dir, const char *name, uint64_t serial,
		   const char *verb);

/* The newest serial in the files of services and directory, or 0. */
uint64_t standing_newest(const struct rings_dir *dir);

/* Makes the directory of the user of the choice where it is missing, so that a mode can be there
 * before the first process is. Returns 0 or -errno. */
int standing_make_dir(const struct rings_choice *choice);

/* Prints the modes that are in force. Returns the exit status. */
int standing_list(const struct rings_choice *choice, bool json);

#endif

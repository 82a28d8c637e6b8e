/* SPDX-License-Identifier: MIT */
/* Telling a process that has no ring yet: by a control file with its name (ring/layout.h). */
#ifndef GCPRELOAD_CLI_RINGLESS_H
#define GCPRELOAD_CLI_RINGLESS_H

#include "cli/rings.h"

/* Writes the command for a running process of the choice that has the library, no ring, and the
 * same directory as we. Returns 1, 0 where it is no such process, or -errno. *path: the file, to be
 * freed, or NULL. */
int ringless_tell(const struct rings_choice *choice, int32_t pid, uint64_t serial, const char *verb,
		  char **path);

#endif

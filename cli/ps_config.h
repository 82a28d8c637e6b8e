/* SPDX-License-Identifier: MIT */
/* gcpreload ps --config: the settings in force in a process, and where each comes from. */
#ifndef GCPRELOAD_CLI_PS_CONFIG_H
#define GCPRELOAD_CLI_PS_CONFIG_H

#include "cli/snapshot.h"

/* Of the running processes among all, or of those that are named, which need not be there. Returns
 * the exit status. */
int ps_config(const struct snapshots *all, char *const *pids, bool json);

#endif

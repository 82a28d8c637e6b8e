/* SPDX-License-Identifier: MIT */
/* What collections were for: processor time and connections of each period (layout 1.3). */
#ifndef GCPRELOAD_CLI_LOAD_H
#define GCPRELOAD_CLI_LOAD_H

#include "cli/snapshot.h"

/* Fills the load of a snapshot's periods from its header. The series must have been read. */
void load_measure(struct snapshot *s);

/* Adds the processor time since the process last looked, which /proc has: it looks after
 * collections and once a second at its waits. Nothing, where the process is not to be seen. */
void load_until_now(struct snapshot *s);

void load_merge(struct snapshot_period *into, const struct snapshot_period *from);

/* How long ago the connections were counted, seconds; -1: unknown, or the process has ended. */
double load_age(const struct snapshot *s);

#endif

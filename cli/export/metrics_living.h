/* SPDX-License-Identifier: MIT */
/* What is told of the living processes alone, counted or added up by what they have in common. */
#ifndef GCPRELOAD_CLI_EXPORT_METRICS_LIVING_H
#define GCPRELOAD_CLI_EXPORT_METRICS_LIVING_H

#include "cli/export/gather.h"
#include "cli/export/metrics_format.h"

/* CLOCK_MONOTONIC, ns. */
uint64_t metrics_now(void);

/* A parent that only forks serves nothing, and neither does one that has not begun. */
bool metrics_serves(const struct gcpreload_header *h);

/* How many there are, by state, mode and reason. */
void metrics_states(struct metrics_writer *w, struct gather *gather);

/* Which versions run. */
void metrics_versions(struct metrics_writer *w, struct gather *gather);

/* What one compares, a canary to the others, a version to the one before: the share of their time
 * that collections in requests took. */
void metrics_shares(struct metrics_writer *w, struct gather *gather);

#endif

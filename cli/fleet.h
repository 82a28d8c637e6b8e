/* SPDX-License-Identifier: MIT */
/*
 * Several pods side by side: report --fleet. Tuned against untuned of the same version, and each
 * version against the one before, by the time in collections in requests for each second of
 * processor time, which does not follow the load as the share of time does.
 */
#ifndef GCPRELOAD_CLI_FLEET_H
#define GCPRELOAD_CLI_FLEET_H

#include <stdbool.h>
#include <stddef.h>

/* Of files of report --json, which have one pod each, or several that have names of their own.
 * Returns an exit status. */
int fleet_reports(char *const *paths, size_t n, bool as_json);

#endif

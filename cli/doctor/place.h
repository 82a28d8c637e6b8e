/* SPDX-License-Identifier: MIT */
/* Whether measurements can be kept: the rules of ring/file.c, without making anything. */
#ifndef GCPRELOAD_CLI_DOCTOR_PLACE_H
#define GCPRELOAD_CLI_DOCTOR_PLACE_H

#include "cli/doctor/findings.h"
#include "rules/settings.h"

/* Looks at the directory that the settings name, which ask for a ring. With GCPRELOAD_RING=require
 * what stands in the way is bad, else it is a note. */
void place_check(const struct gcpreload_settings *settings, struct findings *findings);

#endif

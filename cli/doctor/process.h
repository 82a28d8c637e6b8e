/* SPDX-License-Identifier: MIT */
/* The two halves of doctor. */
#ifndef GCPRELOAD_CLI_DOCTOR_DOCTOR_H
#define GCPRELOAD_CLI_DOCTOR_DOCTOR_H

#include <stdint.h>

#include "cli/decision.h"
#include "cli/doctor/findings.h"

/* Why a running process is tuned, or not. Returns whether its settings were asked: then decision is
 * to be freed. */
bool doctor_examine_process(int32_t pid, struct decision *decision, struct findings *findings);

/* A seccomp filter, of a running process or, 0, of what would be started from here. */
void doctor_check_filter(int32_t pid, struct findings *findings);

#endif

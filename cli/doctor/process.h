/* SPDX-License-Identifier: MIT */
/* The two halves of doctor. */
#ifndef GCPRELOAD_CLI_DOCTOR_DOCTOR_H
#define GCPRELOAD_CLI_DOCTOR_DOCTOR_H

#include <stdint.h>

#include "cli/doctor/findings.h"

/* Why a running process is tuned, or not. */
void doctor_examine_process(int32_t pid, struct findings *findings);

/* The GCPRELOAD_ variables of this process's environment, for a process with this command line and
 * origin (scope.h). */
void doctor_check_settings(const char *command_line, const char *origin, struct findings *findings);

/* A seccomp filter, of a running process or, 0, of what would be started from here. */
void doctor_check_filter(int32_t pid, struct findings *findings);

#endif

/* SPDX-License-Identifier: MIT */
/* What the settings decide, as doctor's findings. */
#ifndef GCPRELOAD_CLI_DOCTOR_SCOPE_H
#define GCPRELOAD_CLI_DOCTOR_SCOPE_H

#include "cli/decision.h"
#include "cli/doctor/findings.h"

void scope_check(const struct decision *decision, struct findings *findings);

/* The member "settings": each with its value and its source; null where none is read. */
void scope_json(const struct decision *decision, struct json *json);

#endif

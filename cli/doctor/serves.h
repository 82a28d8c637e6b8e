/* SPDX-License-Identifier: MIT */
/* Whether what an interpreter is to run will become ready, as far as its name tells. */
#ifndef GCPRELOAD_CLI_DOCTOR_SERVES_H
#define GCPRELOAD_CLI_DOCTOR_SERVES_H

#include "cli/decision.h"
#include "cli/doctor/findings.h"
#include "cli/doctor/words.h"

/* words: a command line that begins with a Python. For settings with a trigger. */
void serves_check(const struct words *words, const struct decision *decision,
		  struct findings *findings);

#endif

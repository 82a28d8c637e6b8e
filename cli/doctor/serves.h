/* SPDX-License-Identifier: MIT */
/* Whether what an interpreter is to run will become ready, as far as its name tells. */
#ifndef GCPRELOAD_CLI_DOCTOR_SERVES_H
#define GCPRELOAD_CLI_DOCTOR_SERVES_H

#include "cli/doctor/findings.h"
#include "cli/doctor/words.h"

/* words: a command line that begins with a Python. GCPRELOAD_TRIGGER is taken from the
 * environment. */
void serves_check(const struct words *words, struct findings *findings);

#endif

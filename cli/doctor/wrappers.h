/* SPDX-License-Identifier: MIT */
/* Programs that run another one: what they do to LD_PRELOAD, and which one they run. */
#ifndef GCPRELOAD_CLI_DOCTOR_WRAPPERS_H
#define GCPRELOAD_CLI_DOCTOR_WRAPPERS_H

#include <stdbool.h>

#include "cli/doctor/findings.h"
#include "cli/doctor/words.h"

enum unwrapped {
	UNWRAPPED_NO,	/* not a program that we know to run another */
	UNWRAPPED,	/* words now begin with what it runs */
	UNWRAPPED_NEVER /* what it runs cannot be told; a finding says why */
};

/* words[0] is the program, by any path. This process's environment is changed as the wrapper
 * would change it for its child: env's assignments, what sudo drops. */
enum unwrapped wrappers_unwrap(struct words *words, struct findings *findings);

/* Who took LD_PRELOAD out of the environment, or NULL. */
const char *wrappers_who_dropped(void);

/* Of each setting, whether the last that gave it was an option of `gcpreload run`. */
const bool *wrappers_given_to_run(void);

/* Forgets both; for one question after another. */
void wrappers_reset(void);

#endif

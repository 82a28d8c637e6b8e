/* SPDX-License-Identifier: MIT */
/* GCPRELOAD_SAMPLE: which processes are tuned, and which only observed for comparison. */
#ifndef GCPRELOAD_RULES_SAMPLE_H
#define GCPRELOAD_RULES_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "rules/settings.h"

/* Whether it must be decided at all: not where all are tuned, or none. */
bool sample_is_asked(const struct gcpreload_settings *settings);

/* Decides by who: bytes that tell a process or, of GCPRELOAD_SAMPLE_BY=pod, a host name. The same
 * for the same bytes and share; a larger share has all of a smaller one. */
enum gcpreload_sample sample_decide(const struct gcpreload_settings *settings, const void *who,
				    size_t n);

#endif

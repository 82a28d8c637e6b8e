/* SPDX-License-Identifier: MIT */
/*
 * GCPRELOAD_SAMPLE: which processes are tuned, and which only observed for comparison.
 *
 * A pod that has a number among its replicas is chosen by counting: of N in a row N * share are
 * tuned, to the next whole number, so of ten at 0.1 exactly one. The number is
 * GCPRELOAD_SAMPLE_INDEX (or JOB_COMPLETION_INDEX), or the ordinal at the end of a StatefulSet's
 * host name. Any other host name, as a Deployment's pods have it, is chosen by a hash, which is a
 * lottery: of ten at 0.1 none is tuned in 35 % of all deploys. Which of them is tuned depends on
 * the service's name and on GCPRELOAD_SAMPLE_SALT, too, so that not all services try their luck in
 * the same places.
 *
 * The same pod with the same settings is always decided alike. A larger share has all pods of a
 * smaller one by hash; by counting it has where it is a whole multiple (0.1, 0.2, 0.4): both that
 * and the right number for every share cannot be had (of five at 0.2 and of two at 0.5 one each).
 */
#ifndef GCPRELOAD_RULES_SAMPLE_H
#define GCPRELOAD_RULES_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "rules/settings.h"

enum sample_by { SAMPLE_BY_HASH, SAMPLE_BY_ORDINAL, SAMPLE_BY_INDEX, SAMPLE_BY_CHANCE };

struct sample_choice {
	enum gcpreload_sample sample;
	enum sample_by by;
	unsigned number; /* of an ordinal or an index */
};

/* Whether it must be decided at all: not where all are tuned, or none. */
bool sample_is_asked(const struct gcpreload_settings *settings);

/* Whether the host name does not matter. */
bool sample_needs_no_host(const struct gcpreload_settings *settings);

struct sample_choice sample_of_pod(const struct gcpreload_settings *settings, const char *host);

/* Of GCPRELOAD_SAMPLE_BY=process; who: bytes that no other process has. */
struct sample_choice sample_of_process(const struct gcpreload_settings *settings, const void *who,
				       size_t n);

/* "ordinal 3", "a hash of the host name". Returns out. */
char *sample_by_what(char *out, size_t size, const struct sample_choice *choice);

/* "not in the sample (GCPRELOAD_SAMPLE=0.1), by ordinal 3"; "" where nothing was to be decided.
 * Returns out. */
char *sample_explain(char *out, size_t size, const struct gcpreload_settings *settings,
		     const struct sample_choice *choice);

#endif

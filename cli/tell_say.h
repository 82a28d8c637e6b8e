/* SPDX-License-Identifier: MIT */
/* Within tell: what is told to whom, and what became of it. */
#ifndef GCPRELOAD_CLI_TELL_SAY_H
#define GCPRELOAD_CLI_TELL_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/rings.h"

/* A process that is told. */
struct target {
	struct gcpreload_reader reader;
	uint64_t serial;
	bool answered;
	bool gone;
};

struct tell {
	struct rings_choice choice;
	const char *verb;
	const char *service;
	bool all;
	bool list, json;
	double timeout;
	bool no_wait;
	int32_t *pids;
	bool *pid_seen;	   /* it has a ring */
	bool *pid_written; /* it has none, and a file of its own was written */
	size_t n_pids;
	struct target *targets;
	size_t n_targets;
	uint64_t serial;  /* newer than all that was said before */
	size_t n_written; /* files of a service or of all */
	int exit;
};

/* A mode for a service, or for all, stays in force. */
bool tell_stands(const struct tell *tell);

/* Whether it is what the verb wants. */
bool tell_obeyed(const struct tell *tell, const struct gcpreload_header *h);

/* What each has answered, who was not reached, and how many have it; tell->exit where that is not
 * all. where: the place that was looked at. */
void tell_say_all(struct tell *tell, const char *where);

#endif

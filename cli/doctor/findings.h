/* SPDX-License-Identifier: MIT */
/* What doctor finds, in the order in which it looked. */
#ifndef GCPRELOAD_CLI_DOCTOR_FINDINGS_H
#define GCPRELOAD_CLI_DOCTOR_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/json.h"

enum finding_level {
	FINDING_GOOD,
	FINDING_NOTE,	  /* worth knowing; it works all the same */
	FINDING_IF,	  /* it will be tuned only if this is so, which cannot be told */
	FINDING_OBSERVED, /* it will only be measured, because of this */
	FINDING_BAD	  /* it will not be tuned, because of this */
};

struct findings {
	struct finding {
		enum finding_level level;
		char *text; /* "WHAT: WHY; what to do" */
	} * list;
	size_t n;
};

void findings_add(struct findings *findings, enum finding_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The most that was found. */
enum finding_level findings_worst(const struct findings *findings);
void findings_print(const struct findings *findings);
void findings_json(const struct findings *findings, struct json *json);
void findings_free(struct findings *findings);

#endif

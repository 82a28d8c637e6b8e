/* SPDX-License-Identifier: MIT */
/* Slow collections that hit a request whose trace is exported: one beside a histogram's bucket
 * leads from the pause to the trace. */
#ifndef GCPRELOAD_CLI_EXPORT_EXEMPLARS_H
#define GCPRELOAD_CLI_EXPORT_EXEMPLARS_H

#include <stddef.h>
#include <stdio.h>

#include "cli/json.h"
#include "ring/reader.h"

struct exemplars {
	struct gcpreload_hit *list;
	size_t n;
};

/* What a ring has of them, instead. */
void exemplars_read(struct exemplars *exemplars, const struct gcpreload_reader *reader);

void exemplars_add(struct exemplars *to, const struct exemplars *from);
void exemplars_free(struct exemplars *exemplars);

/* A series, as exemplars are asked for. */
struct exemplars_of {
	unsigned period, generation, cause;
};

/* The newest of a series that took more than low and at most high seconds, or NULL. */
const struct gcpreload_hit *exemplars_newest(const struct exemplars *exemplars,
					     const struct exemplars_of *of, double low,
					     double high);

/* What OpenMetrics has behind a bucket's value; nothing where hit is NULL. */
void exemplars_openmetrics(FILE *out, const struct gcpreload_hit *hit);

/* The key exemplars of a data point of OTLP: those that ended since then (CLOCK_REALTIME, ns), a
 * few of the newest. Nothing where there is none. */
void exemplars_otlp(struct json *json, const struct exemplars *exemplars,
		    const struct exemplars_of *of, uint64_t since_ns);

#endif

/* SPDX-License-Identifier: MIT */
/* A line of Prometheus' text format, or of OpenMetrics: a name, labels, and what ends it. */
#ifndef GCPRELOAD_CLI_EXPORT_METRICS_FORMAT_H
#define GCPRELOAD_CLI_EXPORT_METRICS_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "ring/layout.h"

struct metrics_style {
	bool openmetrics;
	bool per_process; /* a label pid, and no sums */
	bool compat;	  /* python_gc_* without cause and period, as prometheus_client has it */
};

struct metrics_writer {
	FILE *out;
	const struct metrics_style *style;
	bool first_label;
};

/* The longest is gcpreload_gc_objects_uncollectable_total. */
#define METRICS_LONGEST_NAME 80

/* The name of a row of ring/counters.def, with what comes behind it in a line; returns name. */
const char *metrics_name(char name[METRICS_LONGEST_NAME], const struct metrics_writer *w,
			 unsigned row, const char *suffix);

/* The lines before those of a metric. */
void metrics_family(struct metrics_writer *w, unsigned row);

/* A line begins: of a service, or of a process of it. Labels follow, and one of the ends. */
void metrics_begin(struct metrics_writer *w, const char *name, const char *service,
		   const struct gcpreload_header *process);
void metrics_label(struct metrics_writer *w, const char *name, const char *value);
void metrics_uint(struct metrics_writer *w, uint64_t value);
void metrics_double(struct metrics_writer *w, double value);

#endif

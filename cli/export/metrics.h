/* SPDX-License-Identifier: MIT */
/* What was gathered, in Prometheus' text format (0.0.4) or OpenMetrics (1.0). */
#ifndef GCPRELOAD_CLI_EXPORT_METRICS_H
#define GCPRELOAD_CLI_EXPORT_METRICS_H

#include <stdio.h>

#include "cli/export/gather.h"
#include "cli/export/metrics_format.h"

#define METRICS_TEXT_TYPE	 "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* The caller looks at out for errors. */
void metrics_write(FILE *out, struct gather *gather, const struct metrics_style *style);

#endif

/* SPDX-License-Identifier: MIT */
/* An ExportMetricsServiceRequest of OTLP, in JSON. */
#ifndef GCPRELOAD_CLI_EXPORT_OTLP_MESSAGE_H
#define GCPRELOAD_CLI_EXPORT_OTLP_MESSAGE_H

#include "cli/export/otlp_state.h"
#include "cli/json.h"

struct otlp_pairs;

struct otlp_style {
	const struct otlp_pairs *attributes; /* of every resource */
	bool delta_sums, delta_histograms;
	bool explicit_histograms;
	bool command_line;
};

void otlp_message_begin(struct json *json, FILE *out);

/* Adds a subject's ResourceMetrics; nothing where it has nothing to tell. Returns whether. */
bool otlp_message_add(struct json *json, const struct otlp_subject *subject,
		      const struct otlp_style *style);

void otlp_message_end(struct json *json);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Pushes the measurements to an OpenTelemetry collector, on a thread of its own: a collector that
 * does not answer holds up nobody. What a push could not bring, the next one brings: a cumulative
 * count has it anyway, a delta reaches back to the last push that arrived.
 */
#ifndef GCPRELOAD_CLI_EXPORT_OTLP_H
#define GCPRELOAD_CLI_EXPORT_OTLP_H

#include "cli/export/gather.h"

struct otlp;

struct otlp_options {
	const char *endpoint; /* NULL: the environment's */
	bool per_process;
	bool command_line;
};

/* Reads the environment (otlp_config.h). gather, that has choices and has not looked, is its own
 * from here on. Returns NULL where it was said that there is nowhere to push to. */
struct otlp *otlp_new(const struct otlp_options *options, struct gather *gather);

/* Pushes once, with retries. Returns whether it arrived. */
bool otlp_once(struct otlp *otlp);

/* Pushes at every interval until otlp_free. Signals that end the program are blocked by now. */
void otlp_start(struct otlp *otlp);

/* One last push, within seconds, where it was started. */
void otlp_free(struct otlp *otlp);

#endif

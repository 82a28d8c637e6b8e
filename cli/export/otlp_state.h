/* SPDX-License-Identifier: MIT */
/*
 * What is to be pushed and what has arrived. A subject becomes a resource: a service, or with
 * per_process one process. Its counts are kept as of the last push that arrived, so that a delta
 * is whatever came since then, however many pushes failed between.
 */
#ifndef GCPRELOAD_CLI_EXPORT_OTLP_STATE_H
#define GCPRELOAD_CLI_EXPORT_OTLP_STATE_H

#include "cli/export/gather.h"

/* Sparse: NULL where there was never a collection. */
typedef struct gcpreload_series
    *otlp_counts[GCPRELOAD_PERIODS][GCPRELOAD_GENERATIONS][GCPRELOAD_CAUSES];

struct otlp_subject {
	char *service;
	char *ring; /* of the process, or NULL */

	/* Of the process: a descriptor of our own, so its last numbers can be read when its file
	 * was removed between two pushes. */
	struct gcpreload_reader reader;
	bool over; /* nothing more will come of it */
	bool seen; /* in this look */

	/* The living processes, until the next look. */
	const struct gcpreload_header **living;
	size_t n_living;
	const struct gcpreload_header *newest; /* of all, or NULL */

	otlp_counts now, arrived;
	struct exemplars exemplars;
	struct counters counted, counted_arrived;
	/* Nanoseconds of CLOCK_REALTIME: when the counting began, when it was looked, and the look
	 * that arrived last. */
	uint64_t start, time, since;
	uint64_t first; /* when the process whose begin is start made its ring */
	/* For the resource, as the living ones had it when they last agreed. */
	char version[64], environment[64];
};

struct otlp_state {
	struct gather gather;
	bool per_process;
	uint64_t began; /* the first look */
	struct otlp_subject **subjects;
	size_t n_subjects;
};

/* Reads the rings. */
void otlp_state_look(struct otlp_state *state);

/* What the last look saw of a subject has arrived. */
void otlp_state_arrived(struct otlp_subject *subject);

void otlp_state_free(struct otlp_state *state);

#endif

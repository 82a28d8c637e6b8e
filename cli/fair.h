/* SPDX-License-Identifier: MIT */
/*
 * Whether two measurements may be set against each other. Time in collections follows what a
 * process does: one that has nothing to do has no collections, whatever its collector.
 */
#ifndef GCPRELOAD_CLI_FAIR_H
#define GCPRELOAD_CLI_FAIR_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/snapshot.h"

#define FAIR_SECONDS	 60   /* of all processes of a side */
#define FAIR_COLLECTIONS 10   /* in requests, of the side that has more */
#define FAIR_NO_LOAD	 .001 /* of a processor */
#define FAIR_LOAD	 2    /* times as much */
#define FAIR_SPAN	 1.25 /* longest pauses are compared where the times differ by less */

/* What was measured on one side. */
struct fair_side {
	const char *name;   /* in a sentence: "with the stock collector" */
	double seconds;	    /* of serving */
	double cpu_seconds; /* below 0: unknown */
	double connections; /* below 0: unknown */
	double collections; /* in requests */
	double in_requests; /* seconds in them */
};

/* Of a period, all of it or without its first minutes. */
void fair_side_of(struct fair_side *side, const char *name, const struct snapshot_period *period,
		  bool steady);

/* Whether both have enough behind the first minutes to leave these out. */
bool fair_leaves_out(double a_steady_seconds, double b_steady_seconds);

/* Whether the one has more than twice the other. */
bool fair_loads_differ(double a, double b);

/* Why they must not be compared, or "". Returns out. */
char *fair_why_not(char *out, size_t size, const struct fair_side *a, const struct fair_side *b);

/* Whether the longest of each may stand side by side: a longer time has a longer longest. */
bool fair_spans(double a_seconds, double b_seconds);

#endif

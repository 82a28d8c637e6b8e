/* SPDX-License-Identifier: MIT */
/* The marks of mode concurrent (ring/layout.h), summed up and put into words. */
#ifndef GCPRELOAD_CLI_MARKS_H
#define GCPRELOAD_CLI_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/counters.h"
#include "cli/json.h"
#include "ring/layout.h"

struct snapshot_period;

/* Of one process, or of several. */
struct marks_sum {
	struct counters counted;
	uint64_t fork_max_ns, longest_ns; /* of all of them */
	uint64_t live, pending;
};

void marks_add(struct marks_sum *sum, const struct gcpreload_header *h);

/* Four lines, without the last line's end; tuned: the period in which the marks were made. The
 * first is the promise of mode concurrent: what collections took of requests, and the longest step.
 * "" where there were no marks. Returns out. */
char *marks_told(char *out, size_t size, const struct marks_sum *sum,
		 const struct snapshot_period *tuned);

/* One mark in a line. Returns out. */
char *marks_line(char *out, size_t size, const struct gcpreload_mark *mark);

/* Its members, into an open object. */
void marks_json(const struct gcpreload_mark *mark, struct json *json);

/* What marks found, into an open object: the gauges. */
void marks_json_gauges(const struct gcpreload_header *h, struct json *json);

#endif

/* SPDX-License-Identifier: MIT */
/* How report shows a process, and several that belong together. */
#ifndef GCPRELOAD_CLI_REPORT_H
#define GCPRELOAD_CLI_REPORT_H

#include "cli/marks.h"
#include "cli/snapshot.h"

/* Processes of one service, or children of one parent. */
struct report_total {
	const struct snapshot *first;
	size_t n;
	struct snapshot_period periods[GCPRELOAD_PERIODS];
	struct marks_sum marks;
};

/* The groups of two or more in all, in a new list to be freed. Returns how many. */
size_t report_totals(const struct snapshots *all, struct report_total **totals);

void report_print(const struct snapshot *s);
void report_print_total(const struct report_total *total);

/* The members of a period, into an open object. */
void report_json_period(const struct snapshot_period *period, struct json *json);

/* The key "periods" and its value. */
void report_json_periods(const struct snapshot_period *periods, struct json *json);
void report_json_total(const struct report_total *total, struct json *json);

#endif

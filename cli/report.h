/* SPDX-License-Identifier: MIT */
/* How report shows a process, and several that belong together. */
#ifndef GCPRELOAD_CLI_REPORT_H
#define GCPRELOAD_CLI_REPORT_H

#include "cli/marks.h"
#include "cli/snapshot.h"
#include "cli/table.h"

/* Processes of one service. */
struct report_total {
	const struct snapshot *first;
	size_t n;
	struct snapshot_period periods[GCPRELOAD_PERIODS];
	/* What GCPRELOAD_SAMPLE left to the stock collector, and what it chose to tune. */
	struct snapshot_period untuned, sampled;
	struct marks_sum marks;
};

/* The groups of two or more in all, in a new list to be freed. Returns how many. */
size_t report_totals(const struct snapshots *all, struct report_total **totals);

void report_print(const struct snapshot *s);
void report_print_total(const struct report_total *total);

/* What collections are related to. */
#define REPORT_PERS 3

extern const struct report_per {
	const char *what, *key;
	/* So much of it was in a period; below 0: unknown. */
	double (*amount)(const struct snapshot_period *period);
} report_pers[REPORT_PERS];

/* Collections, and seconds in them, for each; -1: unknown, or there was nothing. */
double report_per_collections(const struct report_per *per, const struct snapshot_period *period);
double report_per_seconds(const struct report_per *per, const struct snapshot_period *period);

/* The rows of these. */
void report_load_rows(struct table *table, const struct snapshot_period *periods);

/* What a period did besides, into an open object. */
void report_json_load(const struct snapshot_period *period, struct json *json);

/* The members of a period, into an open object. */
void report_json_period(const struct snapshot_period *period, struct json *json);

/* The key "periods" and its value. */
void report_json_periods(const struct snapshot_period *periods, struct json *json);

/* Why stock and tuned are not compared, or null, and how they are: "not_compared",
 * "without_first_minutes" and "equal_times" with their values. */
void report_json_claim(const struct snapshot_period *periods, const struct snapshot_period *untuned,
		       const struct snapshot_period *sampled, struct json *json);

void report_json_total(const struct report_total *total, struct json *json);

#endif

/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/counters.h"
#include "cli/memory.h"
#include "cli/table.h"
#include "cli/text.h"
#include "ring/histogram.h"

#define BASELINE GCPRELOAD_PERIOD_BASELINE
#define TUNED	 GCPRELOAD_PERIOD_TUNED

static bool belong_together(const struct snapshot *a, const struct snapshot *b)
{
	const struct gcpreload_header *x = &a->header, *y = &b->header;

	if (*x->service_name || *y->service_name)
		return strcmp(x->service_name, y->service_name) == 0;
	return x->pid_namespace == y->pid_namespace && x->ppid == y->ppid;
}

static void report_add_process(struct report_total *total, const struct snapshot *s)
{
	int p;

	if (!total->n++)
		total->first = s;
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		snapshot_period_merge(&total->periods[p], &s->periods[p]);
	marks_add(&total->marks, &s->header);
}

/* A parent that only forks serves nothing, and would thin the shares of its children. */
static bool report_counts(const struct snapshot *s)
{
	return !s->why && s->header.state != GCPRELOAD_STATE_PARENT;
}

size_t report_totals(const struct snapshots *all, struct report_total **totals)
{
	struct report_total *list = memory_need(calloc(all->n + 1, sizeof *list));
	size_t n = 0, kept = 0, i, j;

	for (i = 0; i < all->n; i++) {
		if (!report_counts(all->list[i]))
			continue;
		for (j = 0; j < n; j++)
			if (belong_together(list[j].first, all->list[i]))
				break;
		if (j == n)
			n++;
		report_add_process(&list[j], all->list[i]);
	}
	for (i = 0; i < n; i++)
		if (list[i].n > 1)
			list[kept++] = list[i];
	*totals = list;
	return kept;
}

/* What stands in a row of a generation. */
static const unsigned shown_rows[] = { COUNTERS_collections, COUNTERS_collected, COUNTERS_duration,
				       COUNTERS_p50,	     COUNTERS_p99,	 COUNTERS_max };

static void report_cell(struct table *table, const struct gcpreload_series *series, unsigned row)
{
	char text[64];
	double seconds = 0;

	if (!series->collections && row != COUNTERS_collections) {
		table_cell(table, "-");
		return;
	}
	if (row < COUNTERS_END_OF_SERIES) {
		table_cellf(table, "%" PRIu64, counters_in_series(series, row));
		return;
	}
	if (row == COUNTERS_duration)
		seconds = (double)series->sum_ns / 1e9;
	else if (row == COUNTERS_max)
		seconds = (double)series->max_ns / 1e9;
	else
		seconds =
		    (double)gcpreload_histogram_quantile(series, row == COUNTERS_p50 ? .5 : .99) /
		    1e9;
	table_cell(table, text_duration(text, sizeof text, seconds));
}

/* A period that never began shows nothing at all, not zeros. */
static bool report_present(const struct snapshot_period *period)
{
	return period->length_ns || period->gc_ns;
}

static void series_rows(struct table *table, const struct snapshot_period *periods, int generation)
{
	const struct gcpreload_series *series;
	size_t row;
	int p;

	for (row = 0; row < sizeof shown_rows / sizeof *shown_rows; row++) {
		const char *title = counters_table[shown_rows[row]].title;

		if (generation < 0)
			table_cellf(table, "once: %s", title);
		else
			table_cellf(table, "generation %d: %s", generation, title);
		for (p = 0; p < GCPRELOAD_PERIODS; p++) {
			series =
			    generation < 0 ? &periods[p].once : &periods[p].generations[generation];
			if (report_present(&periods[p]))
				report_cell(table, series, shown_rows[row]);
			else
				table_cell(table, "");
		}
	}
}

static void head_rows(struct table *table, const struct snapshot_period *periods)
{
	static const char *const absent[] = { "-", "no baseline", "not yet" };
	char text[64];
	int p;

	table_cell(table, "time");
	for (p = 0; p < GCPRELOAD_PERIODS; p++) {
		if (report_present(&periods[p]))
			table_cell(table, text_duration(text, sizeof text,
							(double)periods[p].length_ns / 1e9));
		else
			table_cell(table, absent[p]);
	}
	table_cell(table, counters_table[COUNTERS_gc_time_share].title);
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		table_cell(table, report_present(&periods[p])
				      ? text_share(text, sizeof text, snapshot_share(&periods[p]))
				      : "");
}

/* Total and longest of the collections that a request could meet, and of the others. */
static void where_rows(struct table *table, const struct snapshot_period *periods, bool idle)
{
	static const unsigned rows[][2] = { { COUNTERS_in_request_time, COUNTERS_in_request_max },
					    { COUNTERS_idle_time, COUNTERS_idle_max } };
	static const unsigned values[] = { COUNTERS_duration, COUNTERS_max };
	int row, p;

	for (row = 0; row < 2; row++) {
		table_cell(table, counters_table[rows[idle][row]].title);
		for (p = 0; p < GCPRELOAD_PERIODS; p++)
			if (report_present(&periods[p]) && p != GCPRELOAD_PERIOD_STARTUP)
				report_cell(table,
					    idle ? &periods[p].idle : &periods[p].in_requests,
					    values[row]);
			else
				table_cell(table, "");
	}
}

static void print_periods(const struct snapshot_period *periods)
{
	static const struct column columns[] = {
		{ "", 0, 0 }, { "start-up", 1, 0 }, { "stock GC", 1, 0 }, { "tuned", 1, 0 }
	};
	struct table table;
	int g, p;
	bool once = false, any;

	table_start(&table, columns, 4);
	head_rows(&table, periods);
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
		for (any = false, p = 0; p < GCPRELOAD_PERIODS; p++)
			any = any || periods[p].generations[g].collections;
		if (any)
			series_rows(&table, periods, g);
	}
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		once = once || periods[p].once.collections;
	if (once)
		series_rows(&table, periods, -1);
	if (periods[TUNED].idle.collections || periods[BASELINE].idle.collections) {
		where_rows(&table, periods, false);
		where_rows(&table, periods, true);
	}
	table_print(&table, stdout, 1);
}

/* Time in the collections that a request could have met. */
static double serving_share(const struct snapshot_period *period)
{
	struct snapshot_period serving = *period;

	serving.gc_ns = period->in_requests.sum_ns;
	return snapshot_share(&serving);
}

/* Collections, and what mode concurrent does besides. */
static double longest_tuned(const struct snapshot_period *tuned, const struct marks_sum *marks)
{
	uint64_t longest = tuned->in_requests.max_ns;

	return (double)(marks->longest_ns > longest ? marks->longest_ns : longest) / 1e9;
}

static void print_summary(const struct snapshot_period *periods, const struct marks_sum *marks)
{
	const struct snapshot_period *stock = &periods[BASELINE], *tuned = &periods[TUNED];
	char a[64], b[64], c[64], d[64], text[600];

	text_share(a, sizeof a, serving_share(stock));
	text_share(b, sizeof b, serving_share(tuned));
	text_duration(c, sizeof c, (double)stock->in_requests.max_ns / 1e9);
	text_duration(d, sizeof d, longest_tuned(tuned, marks));
	if (report_present(stock) && report_present(tuned))
		printf("Share of time in collections in requests: %s with the stock collector, %s "
		       "tuned.\nLongest pause: %s with the stock collector, %s tuned.\n",
		       a, b, c, d);
	else if (report_present(tuned))
		printf("Share of time in collections in requests: %s tuned. Longest pause: %s.\nNo "
		       "baseline to compare with; GCPRELOAD_BASELINE measures one.\n",
		       b, d);
	else if (report_present(stock))
		printf("Share of time in collections in requests: %s with the stock "
		       "collector.\nLongest "
		       "pause: %s. Not tuned.\n",
		       a, c);
	else
		printf("Nothing to compare: only the start-up was measured.\n");
	marks_told(text, sizeof text, marks, tuned->length_ns);
	if (*text)
		printf("\n%s\n", text);
}

void report_print(const struct snapshot *s)
{
	const struct gcpreload_header *h = &s->header;
	char command[1100], reason[600];
	struct marks_sum marks = { 0 };

	if (s->why) {
		printf("%s/%s: cannot be read: %s\n\n", s->dir,
		       text_safe(command, sizeof command, s->name),
		       text_safe(reason, sizeof reason, s->why));
		return;
	}
	printf("%d  %s\n", h->pid, text_safe(command, sizeof command, h->command));
	printf("Python %s, mode %s, %s", text_safe(command, sizeof command, h->python),
	       gcpreload_mode_name(h->mode), snapshot_state(s));
	if (*h->reason)
		printf(": %s", text_safe(reason, sizeof reason, h->reason));
	if (h->frozen_objects >= 0)
		printf("; %" PRId64 " objects frozen", h->frozen_objects);
	printf("\n\n");
	print_periods(s->periods);
	printf("\n");
	marks_add(&marks, h);
	print_summary(s->periods, &marks);
	printf("\n");
}

void report_print_total(const struct report_total *total)
{
	const struct gcpreload_header *h = &total->first->header;
	char text[300];

	if (*h->service_name)
		printf("All %zu processes of the service %s\n\n", total->n,
		       text_safe(text, sizeof text, h->service_name));
	else
		printf("All %zu children of %d\n\n", total->n, h->ppid);
	print_periods(total->periods);
	printf("\n");
	print_summary(total->periods, &total->marks);
	printf("\n");
}

static void json_series(const struct gcpreload_series *series, struct json *json)
{
	counters_json_series(series, COUNTERS_REPORT, json);
	json_pair_double(json, COUNTERS_KEY(duration), (double)series->sum_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(p50),
			 (double)gcpreload_histogram_quantile(series, .5) / 1e9);
	json_pair_double(json, COUNTERS_KEY(p99),
			 (double)gcpreload_histogram_quantile(series, .99) / 1e9);
	json_pair_double(json, COUNTERS_KEY(max), (double)series->max_ns / 1e9);
}

void report_json_period(const struct snapshot_period *period, struct json *json)
{
	int g;

	json_pair_double(json, "seconds", (double)period->length_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(gc_time), (double)period->gc_ns / 1e9);
	json_key(json, COUNTERS_KEY(gc_time_share));
	if (snapshot_share(period) < 0)
		json_null(json);
	else
		json_double(json, snapshot_share(period));
	snapshot_json_requests(period, json);
	json_key(json, "generations");
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
		json_open(json, '{');
		json_pair_int(json, "generation", g);
		json_series(&period->generations[g], json);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_key(json, "once");
	json_open(json, '{');
	json_series(&period->once, json);
	json_close(json, '}');
}

void report_json_periods(const struct snapshot_period *periods, struct json *json)
{
	int p;

	json_key(json, "periods");
	json_open(json, '[');
	for (p = 0; p < GCPRELOAD_PERIODS; p++) {
		if (!report_present(&periods[p]))
			continue;
		json_open(json, '{');
		json_pair_string(json, "period", gcpreload_period_name((unsigned)p));
		report_json_period(&periods[p], json);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void report_json_total(const struct report_total *total, struct json *json)
{
	const struct gcpreload_header *h = &total->first->header;

	json_open(json, '{');
	json_pair_string(json, "service", *h->service_name ? h->service_name : NULL);
	if (*h->service_name)
		json_pair_null(json, "ppid");
	else
		json_pair_int(json, "ppid", h->ppid);
	json_pair_uint(json, COUNTERS_KEY(process_state), total->n);
	report_json_periods(total->periods, json);
	json_close(json, '}');
}

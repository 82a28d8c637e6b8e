/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/claim.h"
#include "cli/counters.h"
#include "cli/fair.h"
#include "cli/load.h"
#include "cli/memory.h"
#include "cli/table.h"
#include "cli/text.h"
#include "ring/histogram.h"

#define BASELINE GCPRELOAD_PERIOD_BASELINE
#define TUNED	 GCPRELOAD_PERIOD_TUNED
#define AGE_TOLD 5 /* seconds */

/* Who has named a service knows what is alike. In a unit, pod or container that nobody has named
 * several programs may run. */
static bool belong_together(const struct snapshot *a, const struct snapshot *b)
{
	const struct gcpreload_header *x = &a->header, *y = &b->header;

	return strcmp(x->service_name, y->service_name) == 0 &&
	       (!x->service.program || !y->service.program ||
		x->service.program == y->service.program);
}

static void report_add_process(struct report_total *total, const struct snapshot *s)
{
	int p;

	if (!total->n++)
		total->first = s;
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		snapshot_period_merge(&total->periods[p], &s->periods[p]);
	if (s->header.sample == GCPRELOAD_SAMPLE_UNTUNED)
		snapshot_period_merge(&total->untuned, &s->periods[BASELINE]);
	else if (s->header.sample == GCPRELOAD_SAMPLE_TUNED)
		snapshot_period_merge(&total->sampled, &s->periods[TUNED]);
	marks_add(&total->marks, &s->header);
}

/* A parent that only forks serves nothing, and would thin the shares of its children. */
static bool report_counts(const struct snapshot *s)
{
	return !s->why && !gcpreload_is_parent(&s->header);
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

/* A row of what each period has; the title is the table's, or one's own. */
static void report_row(struct table *table, const struct snapshot_period *periods,
		       const char *title,
		       char *cell(char *out, size_t size, const struct snapshot_period *period))
{
	char text[64];
	int p;

	table_cell(table, title);
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		table_cell(table,
			   report_present(&periods[p]) ? cell(text, sizeof text, &periods[p]) : "");
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
}

static double share_of_time(const struct snapshot_period *period, uint64_t ns)
{
	struct snapshot_period part = *period;

	part.gc_ns = ns;
	return snapshot_share(&part);
}

static char *cell_share(char *out, size_t size, const struct snapshot_period *period)
{
	return text_share(out, size, snapshot_share(period));
}

static char *cell_share_in_requests(char *out, size_t size, const struct snapshot_period *period)
{
	return text_share(out, size, share_of_time(period, period->in_requests.sum_ns));
}

static char *cell_share_waiting(char *out, size_t size, const struct snapshot_period *period)
{
	return text_share(out, size, share_of_time(period, period->idle.sum_ns));
}

/* Of the start nobody is told in what share requests met them: there were none. */
static void share_rows(struct table *table, const struct snapshot_period *periods, bool idle)
{
	struct snapshot_period serving[GCPRELOAD_PERIODS];

	memcpy(serving, periods, sizeof serving);
	memset(&serving[GCPRELOAD_PERIOD_STARTUP], 0, sizeof *serving);
	report_row(table, periods, counters_table[COUNTERS_gc_time_share].title, cell_share);
	report_row(table, serving, "in requests: share of time", cell_share_in_requests);
	if (idle)
		report_row(table, serving, "while waiting: share of time", cell_share_waiting);
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
	bool idle = periods[TUNED].idle.collections || periods[BASELINE].idle.collections;

	table_start(&table, columns, 4);
	head_rows(&table, periods);
	share_rows(&table, periods, idle);
	report_load_rows(&table, periods);
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
	if (idle) {
		where_rows(&table, periods, false);
		where_rows(&table, periods, true);
	}
	table_print(&table, stdout, 1);
}

/* Collections, and what mode concurrent does besides. */
static double longest_tuned(const struct snapshot_period *tuned, const struct marks_sum *marks)
{
	uint64_t longest = tuned->in_requests.max_ns;

	return (double)(marks->longest_ns > longest ? marks->longest_ns : longest) / 1e9;
}

/* The longest of a longer time is longer: where the times differ, each is said with its own. */
static void print_longest(const struct snapshot_period *stock, const struct snapshot_period *tuned,
			  double stock_longest, double tuned_longest)
{
	double stock_time = (double)stock->length_ns / 1e9;
	double tuned_time = (double)tuned->length_ns / 1e9;
	char a[64], b[64], c[64], d[64];

	text_duration(a, sizeof a, stock_longest);
	text_duration(b, sizeof b, tuned_longest);
	if (fair_spans(stock_time, tuned_time))
		printf("Longest pause: %s with the stock collector, %s tuned.\n", a, b);
	else
		printf("Longest pause: %s in %s with the stock collector, %s in %s tuned.\n", a,
		       text_duration(c, sizeof c, stock_time), b,
		       text_duration(d, sizeof d, tuned_time));
}

static void print_shares(const struct fair_side *stock, const struct fair_side *tuned,
			 const struct snapshot_period *periods[2])
{
	char a[64], b[64];

	printf("Share of time in collections in requests: %s with the stock collector, %s "
	       "tuned.\n",
	       text_share(a, sizeof a, stock->in_requests / stock->seconds),
	       text_share(b, sizeof b, tuned->in_requests / tuned->seconds));
	if (periods[0]->idle.collections || periods[1]->idle.collections)
		printf("While waiting: %s with the stock collector, %s tuned.\n",
		       text_share(a, sizeof a, share_of_time(periods[0], periods[0]->idle.sum_ns)),
		       text_share(b, sizeof b, share_of_time(periods[1], periods[1]->idle.sum_ns)));
}

static void print_claim(const struct report_claim *claim, const struct marks_sum *marks)
{
	const struct snapshot_period *periods[2] = { claim->stock, claim->tuned };

	if (*claim->why_not) {
		printf("Stock and tuned are not compared: %s.\n", claim->why_not);
		return;
	}
	print_shares(&claim->sides[0], &claim->sides[1], periods);
	print_longest(claim->stock, claim->tuned, (double)claim->stock->in_requests.max_ns / 1e9,
		      longest_tuned(claim->tuned, marks));
	if (claim->same_time)
		printf("Stock: the untuned processes of the same time (GCPRELOAD_SAMPLE).\n");
	if (claim->steady)
		printf("The shares leave out the first %d minutes of each process.\n",
		       (int)(GCPRELOAD_WARM_NS / 60000000000ull));
}

static void print_summary(const struct report_claim *claim, const struct snapshot_period *periods,
			  const struct marks_sum *marks)
{
	const struct snapshot_period *stock = &periods[BASELINE], *tuned = &periods[TUNED];
	char b[64], d[64], text[600];

	if (claim->possible)
		print_claim(claim, marks);
	else if (report_present(tuned))
		printf("Share of time in collections in requests: %s tuned. Longest pause: %s.\nNo "
		       "baseline to compare with; GCPRELOAD_BASELINE measures one.\n",
		       cell_share_in_requests(b, sizeof b, tuned),
		       text_duration(d, sizeof d, longest_tuned(tuned, marks)));
	else if (report_present(stock))
		printf("Share of time in collections in requests: %s with the stock "
		       "collector.\nLongest "
		       "pause: %s. Not tuned.\n",
		       cell_share_in_requests(b, sizeof b, stock),
		       text_duration(d, sizeof d, (double)stock->in_requests.max_ns / 1e9));
	else
		printf("Nothing to compare: only the start-up was measured.\n");
	marks_told(text, sizeof text, marks, tuned);
	if (*text)
		printf("\n%s\n", text);
}

/* Connections are known as they were when the process looked last. */
static void print_age(const struct snapshot *s)
{
	double age = load_age(s);
	char text[64];

	if (age >= AGE_TOLD)
		printf("Connections as of %s ago.\n", text_duration(text, sizeof text, age));
}

void report_print(const struct snapshot *s)
{
	const struct gcpreload_header *h = &s->header;
	char command[1100], reason[600];
	struct marks_sum marks = { 0 };
	struct report_claim claim;

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
	report_claim(&claim, &s->periods[BASELINE], &s->periods[TUNED], NULL, NULL);
	print_summary(&claim, s->periods, &marks);
	print_age(s);
	printf("\n");
}

static void print_total_summary(const struct report_total *total)
{
	struct report_claim claim;

	report_claim(&claim, &total->periods[BASELINE], &total->periods[TUNED], &total->untuned,
		     &total->sampled);
	print_summary(&claim, total->periods, &total->marks);
}

void report_print_total(const struct report_total *total)
{
	static const char *const by[GCPRELOAD_SERVICE_FROMS] = {
		[GCPRELOAD_SERVICE_FROM_UNIT] = " (named by its systemd unit)",
		[GCPRELOAD_SERVICE_FROM_POD] = " (named by its pod)",
		[GCPRELOAD_SERVICE_FROM_CONTAINER] = " (named by its container)",
		[GCPRELOAD_SERVICE_FROM_COMMAND] = " (named by its command)",
	};
	const struct gcpreload_header *h = &total->first->header;
	unsigned from = h->service.from;
	char text[300];

	printf("All %zu processes of the service %s%s\n\n", total->n,
	       text_safe(text, sizeof text, h->service_name),
	       from < GCPRELOAD_SERVICE_FROMS && by[from] ? by[from] : "");
	print_periods(total->periods);
	printf("\n");
	print_total_summary(total);
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
	report_json_load(period, json);
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
	json_pair_string(json, "service", h->service_name);
	json_pair_string(json, "service_from", gcpreload_service_from_name(h->service.from));
	json_pair_uint(json, COUNTERS_KEY(process_state), total->n);
	report_json_periods(total->periods, json);
	report_json_claim(total->periods, &total->untuned, &total->sampled, json);
	json_close(json, '}');
}

/* SPDX-License-Identifier: MIT */
/* The rows of report that relate collections to what the process did. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/claim.h"
#include "cli/counters.h"
#include "cli/report.h"
#include "cli/text.h"

/* What collections are told for, of a period; 0 where there is none, below 0 where nobody knows. */
static double amount_cpu(const struct snapshot_period *period)
{
	return period->load_unknown ? -1 : (double)period->cpu_ns / 1e9;
}

static double amount_connections(const struct snapshot_period *period)
{
	return period->load_unknown || !period->accepts ? -1 : (double)period->accepted;
}

static double amount_collected(const struct snapshot_period *period)
{
	return (double)(period->in_requests.collected + period->idle.collected) / 1e6;
}

const struct report_per report_pers[REPORT_PERS] = {
	{ "CPU second", "per_cpu_second", amount_cpu },
	{ "connection", "per_connection", amount_connections },
	{ "million objects collected", "per_million_collected", amount_collected },
};

/* Not those of readiness, forks and the end, which come once. */
double report_per_collections(const struct report_per *per, const struct snapshot_period *period)
{
	double amount = per->amount(period);

	return amount > 0
		   ? (double)(period->in_requests.collections + period->idle.collections) / amount
		   : -1;
}

double report_per_seconds(const struct report_per *per, const struct snapshot_period *period)
{
	double amount = per->amount(period);

	return amount > 0
		   ? (double)(period->in_requests.sum_ns + period->idle.sum_ns) / 1e9 / amount
		   : -1;
}

static void cell_number(struct table *table, double value)
{
	if (value < 0)
		table_cell(table, "-");
	else if (value < 1)
		table_cellf(table, "%.3g", value);
	else
		table_cellf(table, "%.*f", value < 1000 ? text_decimals(value) : 0, value);
}

static void cell_seconds(struct table *table, double value)
{
	char text[64];

	table_cell(table, value < 0 ? "-" : text_duration(text, sizeof text, value));
}

static void cell_count(struct table *table, double value)
{
	if (value < 0)
		table_cell(table, "unknown");
	else
		table_cellf(table, "%.0f", value);
}

static void cell_time(struct table *table, double value)
{
	if (value < 0)
		table_cell(table, "unknown");
	else
		cell_seconds(table, value);
}

static void amount_row(struct table *table, const struct snapshot_period *periods,
		       const char *title, double amount(const struct snapshot_period *period),
		       void cell(struct table *table, double value))
{
	int p;

	table_cell(table, title);
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		if (report_present(&periods[p]))
			cell(table, amount(&periods[p]));
		else
			table_cell(table, "");
}

static void per_row(struct table *table, const struct snapshot_period *periods,
		    const struct report_per *per, bool seconds)
{
	int p;

	table_cellf(table, "%s per %s", seconds ? "time in collections" : "collections", per->what);
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		if (p == GCPRELOAD_PERIOD_STARTUP || !report_present(&periods[p]))
			table_cell(table, "");
		else if (seconds)
			cell_seconds(table, report_per_seconds(per, &periods[p]));
		else
			cell_number(table, report_per_collections(per, &periods[p]));
}

void report_load_rows(struct table *table, const struct snapshot_period *periods)
{
	const struct snapshot_period *const served[] = { &periods[GCPRELOAD_PERIOD_BASELINE],
							 &periods[GCPRELOAD_PERIOD_TUNED] };
	int i;

	amount_row(table, periods, counters_table[COUNTERS_cpu_time].title, amount_cpu, cell_time);
	amount_row(table, periods, counters_table[COUNTERS_connections].title, amount_connections,
		   cell_count);
	for (i = 0; i < REPORT_PERS; i++) {
		if (report_pers[i].amount(served[0]) <= 0 && report_pers[i].amount(served[1]) <= 0)
			continue;
		per_row(table, periods, &report_pers[i], false);
		per_row(table, periods, &report_pers[i], true);
	}
}

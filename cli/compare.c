/* SPDX-License-Identifier: MIT */
#include "cli/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/json_read.h"
#include "cli/table.h"
#include "cli/text.h"
#include "ring/layout.h"

struct generation {
	double collections, collected, seconds, longest, p99;
};

/* Of all processes, without their start-up. */
struct served {
	double processes, seconds, gc_seconds;
	double in_requests, in_requests_longest, idle, idle_longest;
	struct generation generations[GCPRELOAD_GENERATIONS];
};

/* A figure of the table. */
static const struct figure {
	const char *label;
	const char *key;
	size_t offset;
	bool duration; /* seconds; else a number */
	bool rate;     /* shown for each second of serving */
} figures[] = {
#define F(label, key, field, duration, rate)                                                       \
	{                                                                                          \
		label, key, offsetof(struct served, field), duration, rate                         \
	}
#define G(n)                                                                                       \
	F("generation " #n ": collections per minute", "generation_" #n "_collections",            \
	  generations[n].collections, false, true),                                                \
	    F("generation " #n ": objects collected per minute", "generation_" #n "_collected",    \
	      generations[n].collected, false, true),                                              \
	    F("generation " #n ": time per minute", "generation_" #n "_seconds",                   \
	      generations[n].seconds, true, true),                                                 \
	    F("generation " #n ": p99, worst process", "generation_" #n "_p99",                    \
	      generations[n].p99, true, false),                                                    \
	    F("generation " #n ": longest", "generation_" #n "_max_seconds",                       \
	      generations[n].longest, true, false)
	F("processes", "processes", processes, false, false),
	F("time serving, all processes", "seconds", seconds, true, false),
	F("in collections per minute", "gc_seconds", gc_seconds, true, true),
	F("in requests per minute", "in_request_seconds", in_requests, true, true),
	F("in requests: longest", "in_request_max_seconds", in_requests_longest, true, false),
	F("out of requests per minute", "idle_seconds", idle, true, true),
	F("out of requests: longest", "idle_max_seconds", idle_longest, true, false),
	G(0),
	G(1),
	G(2),
#undef G
#undef F
};

#define N_FIGURES (sizeof figures / sizeof *figures)

static void keep_most(double *most, double value)
{
	if (value > *most)
		*most = value;
}

static void add_generation(struct served *served, const struct json_value *from)
{
	double number = json_number(from, "generation");
	struct generation *to;

	if (!(number >= 0 && number < GCPRELOAD_GENERATIONS))
		return;
	to = &served->generations[(int)number];
	to->collections += json_number(from, "collections");
	to->collected += json_number(from, "collected");
	to->seconds += json_number(from, "seconds");
	keep_most(&to->longest, json_number(from, "max_seconds"));
	keep_most(&to->p99, json_number(from, "p99"));
}

static void add_period(struct served *served, const struct json_value *period)
{
	const struct json_value *name = json_member(period, "period"), *list, *one;

	if (!name || name->type != JSON_TEXT || strcmp(name->text, "startup") == 0)
		return;
	served->seconds += json_number(period, "seconds");
	served->gc_seconds += json_number(period, "gc_seconds");
	served->in_requests += json_number(period, "in_request_seconds");
	served->idle += json_number(period, "idle_seconds");
	keep_most(&served->in_requests_longest, json_number(period, "in_request_max_seconds"));
	keep_most(&served->idle_longest, json_number(period, "idle_max_seconds"));
	list = json_member(period, "generations");
	for (one = list && list->type == JSON_ARRAY ? list->first : NULL; one; one = one->next)
		add_generation(served, one);
}

static int read_served(struct served *served, const char *path)
{
	char *cause = NULL;
	struct json_value *report = json_read_file(path, &cause);
	const struct json_value *list = json_member(report, "processes"), *process, *periods, *one;
	int ret = 0;

	memset(served, 0, sizeof *served);
	if (!report) {
		text_complain("%s", cause);
		ret = -1;
	} else if (!list || list->type != JSON_ARRAY) {
		text_complain("%s: not a report; create one with: gcpreload report --json > FILE",
			      path);
		ret = -1;
	}
	for (process = ret == 0 ? list->first : NULL; process; process = process->next) {
		const struct json_value *state = json_member(process, "state");

		/* A parent that only forks serves nothing. */
		if (state && state->type == JSON_TEXT && strcmp(state->text, "parent") == 0)
			continue;
		served->processes++;
		periods = json_member(process, "periods");
		for (one = periods && periods->type == JSON_ARRAY ? periods->first : NULL; one;
		     one = one->next)
			add_period(served, one);
	}
	json_forget(report);
	free(cause);
	return ret;
}

static double value_of(const struct served *served, const struct figure *figure)
{
	double value = *(const double *)(const void *)((const char *)served + figure->offset);

	if (!figure->rate)
		return value;
	return served->seconds > 0 ? value / served->seconds * 60 : 0;
}

static void compare_cell(struct table *table, const struct figure *figure, double value)
{
	char text[64];

	if (figure->duration)
		table_cell(table, text_duration(text, sizeof text, value));
	else
		table_cellf(table,
			    value >= 100 || value == (double)(long long)value ? "%.0f" : "%.2f",
			    value);
}

static void print_text(const struct served served[2])
{
	static const struct column columns[] = {
		{ "", 0, 0 }, { "A", 1, 0 }, { "B", 1, 0 }, { "B / A", 1, 0 }
	};
	struct table table;
	size_t i;

	table_start(&table, columns, 4);
	for (i = 0; i < N_FIGURES; i++) {
		double a = value_of(&served[0], &figures[i]), b = value_of(&served[1], &figures[i]);

		if (!a && !b)
			continue;
		table_cell(&table, figures[i].label);
		compare_cell(&table, &figures[i], a);
		compare_cell(&table, &figures[i], b);
		if (a)
			table_cellf(&table, "%.2fx", b / a);
		else
			table_cell(&table, "-");
	}
	table_print(&table, stdout, 1);
}

static void print_json(const struct served served[2])
{
	struct json json;
	size_t i, j;

	json_start(&json, stdout, true);
	json_open(&json, '{');
	for (i = 0; i < N_FIGURES; i++) {
		double values[3] = { value_of(&served[0], &figures[i]),
				     value_of(&served[1], &figures[i]), NAN };
		static const char *const names[3] = { "a", "b", "ratio" };

		if (values[0])
			values[2] = values[1] / values[0];
		json_key(&json, figures[i].key);
		json_open(&json, '{');
		for (j = 0; j < 3; j++)
			json_pair_double(&json, names[j], values[j]);
		json_close(&json, '}');
	}
	json_close(&json, '}');
	json_finish(&json);
}

int compare_reports(const char *a, const char *b, bool as_json)
{
	struct served served[2];

	if (read_served(&served[0], a) < 0 || read_served(&served[1], b) < 0)
		return EXIT_NO;
	if (as_json)
		print_json(served);
	else
		print_text(served);
	return EXIT_FINE;
}

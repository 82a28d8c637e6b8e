/* SPDX-License-Identifier: MIT */
#include "cli/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/fair.h"
#include "cli/json.h"
#include "cli/json_read.h"
#include "cli/memory.h"
#include "cli/saved.h"
#include "cli/table.h"
#include "cli/text.h"
#include "ring/layout.h"

struct generation {
	double collections, collected, seconds, longest, p99;
};

/* What may leave out the first minutes. */
struct served_load {
	double seconds, cpu_seconds, connections, collections, in_requests;
};

/* Of all processes, without their start-up. */
struct served {
	double processes, gc_seconds;
	double in_requests_longest, idle, idle_longest;
	struct served_load all, steady;
	struct served_load *told; /* one of the two */
	double seconds;		  /* all.seconds, or 0 */
	bool load_unknown, connections_known;
	char **services;
	size_t n_services;
	struct generation generations[GCPRELOAD_GENERATIONS];
};

enum per { ALONE, PER_MINUTE, PER_CPU_SECOND, PER_CONNECTION };

/* A figure of the table. */
static const struct figure {
	const char *label;
	const char *key;
	size_t offset;	/* in struct served, or in its struct served_load */
	bool duration;	/* seconds; else a number */
	bool of_load;	/* may leave out the first minutes */
	bool of_a_span; /* a longest: grows with the time */
	enum per per;
} figures[] = {
#define F(label, key, field, duration, per)                                                        \
	{                                                                                          \
		label, key, offsetof(struct served, field), duration, false, false, per            \
	}
#define LONGEST(label, key, field)                                                                 \
	{                                                                                          \
		label, key, offsetof(struct served, field), true, false, true, ALONE               \
	}
#define LOAD(label, key, field, duration, per)                                                     \
	{                                                                                          \
		label, key, offsetof(struct served_load, field), duration, true, false, per        \
	}
#define G(n)                                                                                       \
	F("generation " #n ": collections per minute", "generation_" #n "_collections",            \
	  generations[n].collections, false, PER_MINUTE),                                          \
	    F("generation " #n ": objects collected per minute", "generation_" #n "_collected",    \
	      generations[n].collected, false, PER_MINUTE),                                        \
	    F("generation " #n ": time per minute", "generation_" #n "_seconds",                   \
	      generations[n].seconds, true, PER_MINUTE),                                           \
	    F("generation " #n ": p99, worst process", "generation_" #n "_p99",                    \
	      generations[n].p99, true, ALONE),                                                    \
	    LONGEST("generation " #n ": longest", "generation_" #n "_max_seconds",                 \
		    generations[n].longest)
	F("processes", "processes", processes, false, ALONE),
	F("time serving, all processes", "seconds", seconds, true, ALONE),
	LOAD("processor time per minute", "cpu_seconds", cpu_seconds, true, PER_MINUTE),
	LOAD("connections per minute", "connections", connections, false, PER_MINUTE),
	F("in collections per minute", "gc_seconds", gc_seconds, true, PER_MINUTE),
	LOAD("in requests per minute", "in_request_seconds", in_requests, true, PER_MINUTE),
	LOAD("in requests per CPU second", "in_request_seconds_per_cpu_second", in_requests, true,
	     PER_CPU_SECOND),
	LOAD("in requests per connection", "in_request_seconds_per_connection", in_requests, true,
	     PER_CONNECTION),
	LOAD("in requests: collections per CPU second", "in_request_collections_per_cpu_second",
	     collections, false, PER_CPU_SECOND),
	LOAD("in requests: collections per connection", "in_request_collections_per_connection",
	     collections, false, PER_CONNECTION),
	LONGEST("in requests: longest", "in_request_max_seconds", in_requests_longest),
	F("while waiting per minute", "idle_seconds", idle, true, PER_MINUTE),
	LONGEST("while waiting: longest", "idle_max_seconds", idle_longest),
	G(0),
	G(1),
	G(2),
#undef G
#undef LOAD
#undef LONGEST
#undef F
};

#define N_FIGURES (sizeof figures / sizeof *figures)

/* Two reports, and why they are not compared, or "". */
struct comparison {
	struct served served[2];
	bool steady;
	char why_not[512];
};

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

static bool is_number(const struct json_value *object, const char *key)
{
	const struct json_value *value = json_member(object, key);

	return value && value->type == JSON_NUMBER;
}

static void add_load(struct served_load *load, const struct json_value *from)
{
	load->seconds += json_number(from, "seconds");
	load->cpu_seconds += json_number(from, "cpu_seconds");
	load->connections += json_number(from, "connections");
	load->collections += json_number(from, "in_request_collections");
	load->in_requests += json_number(from, "in_request_seconds");
}

static void add_period(struct served *served, const struct json_value *period)
{
	const struct json_value *name = json_member(period, "period"), *list, *one;

	if (!name || name->type != JSON_TEXT || strcmp(name->text, "startup") == 0)
		return;
	served->load_unknown = served->load_unknown || !is_number(period, "cpu_seconds");
	served->connections_known = served->connections_known || is_number(period, "connections");
	add_load(&served->all, period);
	add_load(&served->steady, json_member(period, "steady"));
	served->seconds = served->all.seconds;
	served->gc_seconds += json_number(period, "gc_seconds");
	served->idle += json_number(period, "idle_seconds");
	keep_most(&served->in_requests_longest, json_number(period, "in_request_max_seconds"));
	keep_most(&served->idle_longest, json_number(period, "idle_max_seconds"));
	list = json_member(period, "generations");
	for (one = list && list->type == JSON_ARRAY ? list->first : NULL; one; one = one->next)
		add_generation(served, one);
}

static const char *service_of(const struct json_value *process)
{
	const struct json_value *name = json_member(json_member(process, "service"), "name");

	return name && name->type == JSON_TEXT ? name->text : "";
}

static void served_add_service(struct served *served, const char *name)
{
	size_t i, n = served->n_services;

	for (i = 0; i < n; i++)
		if (strcmp(served->services[i], name) == 0)
			return;
	served->services =
	    memory_need(realloc(served->services, (n + 1) * sizeof *served->services));
	served->services[served->n_services++] = format_text("%s", name);
}

/* A service of the other that is not among them, or NULL. */
static const char *service_missing(const struct served *served, const struct served *other)
{
	size_t i, j;

	for (i = 0; i < other->n_services; i++) {
		for (j = 0; j < served->n_services; j++)
			if (strcmp(served->services[j], other->services[i]) == 0)
				break;
		if (j == served->n_services)
			return other->services[i];
	}
	return NULL;
}

static void add_served(struct served *served, const struct json_value *process)
{
	const struct json_value *state = json_member(process, "state"), *periods, *one;

	/* A parent that only forks serves nothing. */
	if (state && state->type == JSON_TEXT && strcmp(state->text, "parent") == 0)
		return;
	served->processes++;
	served_add_service(served, service_of(process));
	periods = json_member(process, "periods");
	for (one = periods && periods->type == JSON_ARRAY ? periods->first : NULL; one;
	     one = one->next)
		add_period(served, one);
}

static int read_served(struct served *served, const char *path)
{
	struct json_value *report;
	const struct json_value *list = saved_processes(&report, path), *process;

	for (process = list ? list->first : NULL; process; process = process->next)
		add_served(served, process);
	json_forget(report);
	return list ? 0 : -1;
}

static void side_of(struct fair_side *side, const char *name, const struct served *served)
{
	*side = (struct fair_side){
		.name = name,
		.seconds = served->told->seconds,
		.cpu_seconds = served->load_unknown ? -1 : served->told->cpu_seconds,
		.connections = served->connections_known ? served->told->connections : -1,
		.collections = served->told->collections,
		.in_requests = served->told->in_requests,
	};
}

static void compare_decide(struct comparison *c)
{
	struct served *a = &c->served[0], *b = &c->served[1];
	struct fair_side sides[2];
	const char *missing;

	c->steady = fair_leaves_out(a->steady.seconds, b->steady.seconds);
	a->told = c->steady ? &a->steady : &a->all;
	b->told = c->steady ? &b->steady : &b->all;
	missing = service_missing(a, b);
	if (!missing)
		missing = service_missing(b, a);
	if (missing) {
		snprintf(c->why_not, sizeof c->why_not, "the service %s is not in both",
			 *missing ? missing : "without a name");
		return;
	}
	side_of(&sides[0], "in A", a);
	side_of(&sides[1], "in B", b);
	fair_why_not(c->why_not, sizeof c->why_not, &sides[0], &sides[1]);
}

/* NAN: unknown. */
static double value_of(const struct served *served, const struct figure *figure)
{
	const struct served_load *load = figure->of_load ? served->told : &served->all;
	const char *from = figure->of_load ? (const char *)load : (const char *)served;
	double value = *(const double *)(const void *)(from + figure->offset);
	double of = figure->per == PER_MINUTE	    ? load->seconds / 60
		    : figure->per == PER_CPU_SECOND ? load->cpu_seconds
						    : load->connections;

	if (figure->per == ALONE)
		return value;
	if ((figure->per == PER_CPU_SECOND && served->load_unknown) ||
	    (figure->per == PER_CONNECTION && !served->connections_known))
		return NAN;
	return of > 0 ? value / of : 0;
}

static void compare_cell(struct table *table, const struct figure *figure, double value)
{
	char text[64];

	if (isnan(value))
		table_cell(table, "unknown");
	else if (figure->duration)
		table_cell(table, text_duration(text, sizeof text, value));
	else
		table_cellf(table,
			    value >= 100 || value == (double)(long long)value ? "%.0f" : "%.3g",
			    value);
}

/* NAN: not to be told. */
static double ratio_of(const struct comparison *c, const struct figure *figure)
{
	double a = value_of(&c->served[0], figure), b = value_of(&c->served[1], figure);

	if (*c->why_not || !(a > 0) ||
	    (figure->of_a_span && !fair_spans(c->served[0].seconds, c->served[1].seconds)))
		return NAN;
	return b / a;
}

static void print_notes(const struct comparison *c)
{
	char why[1200];

	if (*c->why_not)
		printf("\nA and B are not compared: %s.\n", text_safe(why, sizeof why, c->why_not));
	else if (!fair_spans(c->served[0].seconds, c->served[1].seconds))
		printf("\nA and B served for different times: their longest are not compared.\n");
	if (c->steady)
		printf("* without the first %d minutes of each process\n",
		       (int)(GCPRELOAD_WARM_NS / 60000000000ull));
}

static void print_text(const struct comparison *c)
{
	static const struct column columns[] = {
		{ "", 0, 0 }, { "A", 1, 0 }, { "B", 1, 0 }, { "B / A", 1, 0 }
	};
	struct table table;
	size_t i;

	table_start(&table, columns, 4);
	for (i = 0; i < N_FIGURES; i++) {
		double a = value_of(&c->served[0], &figures[i]);
		double b = value_of(&c->served[1], &figures[i]);

		if (!(a > 0) && !(b > 0))
			continue;
		table_cellf(&table, "%s%s", figures[i].label,
			    c->steady && figures[i].of_load ? " *" : "");
		compare_cell(&table, &figures[i], a);
		compare_cell(&table, &figures[i], b);
		if (isnan(ratio_of(c, &figures[i])))
			table_cell(&table, "-");
		else
			table_cellf(&table, "%.2fx", ratio_of(c, &figures[i]));
	}
	table_print(&table, stdout, 1);
	print_notes(c);
}

static void print_json(const struct comparison *c)
{
	struct json json;
	size_t i;

	json_start(&json, stdout, true);
	json_open(&json, '{');
	json_pair_string(&json, "not_compared", *c->why_not ? c->why_not : NULL);
	json_pair_bool(&json, "without_first_minutes", c->steady);
	for (i = 0; i < N_FIGURES; i++) {
		json_key(&json, figures[i].key);
		json_open(&json, '{');
		json_pair_double(&json, "a", value_of(&c->served[0], &figures[i]));
		json_pair_double(&json, "b", value_of(&c->served[1], &figures[i]));
		json_pair_double(&json, "ratio", ratio_of(c, &figures[i]));
		json_close(&json, '}');
	}
	json_close(&json, '}');
	json_finish(&json);
}

static void forget_services(struct served *served)
{
	while (served->n_services)
		free(served->services[--served->n_services]);
	free(served->services);
}

int compare_reports(const char *a, const char *b, bool as_json)
{
	struct comparison c = { .steady = false };
	int ret = EXIT_NO;

	if (read_served(&c.served[0], a) == 0 && read_served(&c.served[1], b) == 0) {
		compare_decide(&c);
		(as_json ? print_json : print_text)(&c);
		ret = EXIT_FINE;
	}
	forget_services(&c.served[0]);
	forget_services(&c.served[1]);
	return ret;
}

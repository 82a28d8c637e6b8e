/* SPDX-License-Identifier: MIT */
#include "cli/export/page.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/export/page_history.h"
#include "cli/load.h"
#include "cli/memory.h"
#include "cli/report.h"

/* What is beyond is in the total. */
#define MOST_PROCESSES 200u
#define MOST_SERVICES  30u

#define BASELINE GCPRELOAD_PERIOD_BASELINE
#define TUNED	 GCPRELOAD_PERIOD_TUNED

/* A service, or all of them. */
struct group {
	const char *name; /* NULL: all */
	size_t index;	  /* of the service in gather, or PAGE_HISTORY_TOTAL */
	size_t alive, serving, due, states[GCPRELOAD_STATES], guards[GCPRELOAD_GUARDS];
	uint64_t frozen;
	struct counters counted;
	/* As report has them: of the processes whose file is there, without parents. */
	struct snapshot_period periods[GCPRELOAD_PERIODS];
	/* Those that have ended included, so that these do not go back. */
	struct snapshot_period counters[GCPRELOAD_PERIODS];
	/* Of what GCPRELOAD_SAMPLE chose, and of what it left. */
	struct snapshot_period sample[GCPRELOAD_SAMPLES];
	size_t in_sample[GCPRELOAD_SAMPLES];
};

static double page_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static bool page_serves(const struct snapshot *s)
{
	unsigned period = snapshot_period_now(s);

	return s->alive && (period == BASELINE || period == TUNED);
}

/* ---- sums ---- */

static void add_living(struct group *group, const struct snapshot *s)
{
	const struct gcpreload_header *h = &s->header;

	group->alive++;
	group->serving += page_serves(s);
	group->due += snapshot_is_due(s);
	if (h->state < GCPRELOAD_STATES)
		group->states[h->state]++;
	if (h->idle.guard < GCPRELOAD_GUARDS)
		group->guards[h->idle.guard]++;
	if (h->frozen_objects > 0)
		group->frozen += (uint64_t)h->frozen_objects;
}

static void page_add_process(struct group *group, const struct snapshot *s)
{
	const struct gcpreload_header *h = &s->header;
	struct counters counters;
	int p;

	if (s->alive)
		add_living(group, s);
	counters_read(&counters, h);
	counters_add(&group->counted, &counters);
	for (p = 0; p < GCPRELOAD_PERIODS; p++) {
		snapshot_period_merge(&group->counters[p], &s->periods[p]);
		if (!gcpreload_is_parent(h))
			snapshot_period_merge(&group->periods[p], &s->periods[p]);
	}
	if (!gcpreload_is_parent(h) &&
	    (h->sample == GCPRELOAD_SAMPLE_TUNED || h->sample == GCPRELOAD_SAMPLE_UNTUNED)) {
		p = h->sample == GCPRELOAD_SAMPLE_TUNED ? TUNED : BASELINE;
		snapshot_period_merge(&group->sample[h->sample], &s->periods[p]);
		group->in_sample[h->sample] += s->alive;
	}
}

static void add_gone(struct group *group, const struct gather_service *service)
{
	unsigned p, g, c;

	counters_add(&group->counted, &service->gone_counters);
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
			for (c = 0; c < GCPRELOAD_CAUSES; c++)
				if (service->gone[p][g][c].collections)
					snapshot_period_add(&group->counters[p], p, g, c,
							    &service->gone[p][g][c]);
}

static int by_size(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->alive != y->alive)
		return x->alive > y->alive ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* A group for each service, the largest first, and behind them the one of all. */
static struct group *make_groups(struct gather *gather, const struct snapshots *all)
{
	size_t i, j, n = gather->n_services;
	struct group *groups = memory_need(calloc(n + 1, sizeof *groups));

	for (i = 0; i < n; i++) {
		groups[i].name = gather->services[i]->name;
		groups[i].index = i;
		add_gone(&groups[i], gather->services[i]);
		add_gone(&groups[n], gather->services[i]);
	}
	groups[n].index = PAGE_HISTORY_TOTAL;
	for (j = 0; j < all->n; j++) {
		page_add_process(&groups[n], all->list[j]);
		for (i = 0; i < n; i++)
			if (gather_belongs(gather->services[i], &gather->processes[j]))
				page_add_process(&groups[i], all->list[j]);
	}
	qsort(groups, n, sizeof *groups, by_size);
	return groups;
}

/* ---- a group ---- */

/* Number and count of each bucket that has something; -1 is what was below the first. */
static void json_buckets(const struct gcpreload_series *series, struct json *json)
{
	int j;

	json_key(json, COUNTERS_KEY(buckets));
	json_open(json, '[');
	for (j = -1; j <= GCPRELOAD_BUCKETS; j++) {
		uint64_t n = j < 0		      ? series->below
			     : j == GCPRELOAD_BUCKETS ? series->above
						      : series->buckets[j];

		if (!n)
			continue;
		json_open(json, '[');
		json_int(json, j);
		json_uint(json, n);
		json_close(json, ']');
	}
	json_close(json, ']');
}

static void json_counters(const struct snapshot_period *counters, struct json *json)
{
	int p, g;

	json_key(json, "counters");
	json_open(json, '{');
	for (p = BASELINE; p <= TUNED; p++) {
		json_key(json, gcpreload_period_name((unsigned)p));
		json_open(json, '{');
		json_pair_double(json, COUNTERS_KEY(in_request_time),
				 (double)counters[p].in_requests.sum_ns / 1e9);
		json_pair_double(json, COUNTERS_KEY(idle_time),
				 (double)counters[p].idle.sum_ns / 1e9);
		json_key(json, "generations");
		json_open(json, '[');
		for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
			const struct gcpreload_series *series = &counters[p].generations[g];

			json_open(json, '{');
			json_pair_uint(json, COUNTERS_KEY(collections), series->collections);
			json_pair_double(json, COUNTERS_KEY(max), (double)series->max_ns / 1e9);
			json_buckets(series, json);
			json_close(json, '}');
		}
		json_close(json, ']');
		json_close(json, '}');
	}
	json_close(json, '}');
}

static void json_counts(const char *key, const size_t *counts, unsigned n,
			const char *name(unsigned i), struct json *json)
{
	unsigned i;

	json_key(json, key);
	json_open(json, '{');
	for (i = 0; i < n; i++)
		if (counts[i])
			json_pair_uint(json, name(i), counts[i]);
	json_close(json, '}');
}

static void json_sample(const struct group *group, struct json *json)
{
	unsigned i;

	json_key(json, "sample");
	json_open(json, '{');
	for (i = GCPRELOAD_SAMPLE_TUNED; i < GCPRELOAD_SAMPLES; i++) {
		if (!group->in_sample[i])
			continue;
		json_key(json, gcpreload_sample_name(i));
		json_open(json, '{');
		json_pair_uint(json, COUNTERS_KEY(process_state), group->in_sample[i]);
		report_json_period(&group->sample[i], json);
		json_close(json, '}');
	}
	json_close(json, '}');
}

static void json_group(const struct group *group, const struct page_history *history,
		       struct json *json)
{
	json_open(json, '{');
	json_pair_string(json, "service", group->name);
	json_pair_uint(json, COUNTERS_KEY(process_state), group->alive);
	json_pair_uint(json, COUNTERS_KEY(serving), group->serving);
	json_pair_uint(json, COUNTERS_KEY(due), group->due);
	json_counts(COUNTERS_KEY(states), group->states, GCPRELOAD_STATES, gcpreload_state_name,
		    json);
	json_counts(COUNTERS_KEY(guards), group->guards, GCPRELOAD_GUARDS, gcpreload_guard_name,
		    json);
	counters_json(&group->counted, COUNTERS_PAGE, json);
	json_pair_uint(json, COUNTERS_KEY(frozen_objects), group->frozen);
	json_sample(group, json);
	report_json_periods(group->periods, json);
	report_json_claim(group->periods, NULL, NULL, json);
	json_counters(group->counters, json);
	if (history) {
		json_key(json, "history");
		page_history_json(history, group->index, json);
	}
	json_close(json, '}');
}

/* ---- a process ---- */

/* As ps counts; the longest pauses are those of serving, since nobody waits for the start. */
static void json_generations(const struct snapshot *s, struct json *json)
{
	struct snapshot_period serving = s->periods[BASELINE];
	uint64_t n;
	int g, c;

	snapshot_period_merge(&serving, &s->periods[TUNED]);
	json_key(json, COUNTERS_KEY(collections));
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
		for (n = 0, c = 0; c < GCPRELOAD_CAUSES; c++)
			n += s->gc[g][c].collections;
		json_uint(json, n);
	}
	json_close(json, ']');
	json_key(json, COUNTERS_KEY(max));
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		json_double(json, (double)serving.generations[g].max_ns / 1e9);
	json_close(json, ']');
	json_pair_double(json, COUNTERS_KEY(in_request_time),
			 (double)serving.in_requests.sum_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(idle_time), (double)serving.idle.sum_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(serving_time), (double)serving.length_ns / 1e9);
}

static double share_now(const struct snapshot *s)
{
	return snapshot_share(&s->periods[snapshot_period_now(s)]);
}

static void json_process(const struct snapshot *s, const struct page_style *style,
			 struct json *json)
{
	const struct gcpreload_header *h = &s->header;
	struct counters counters;

	json_open(json, '{');
	json_pair_int(json, "pid", h->pid);
	json_pair_string(json, "hostname", h->hostname);
	json_pair_string(json, "service", h->service_name);
	json_pair_string(json, "python", h->python);
	if (style->commands)
		json_pair_string(json, "command", h->command);
	json_pair_string(json, "state", snapshot_state(s));
	json_pair_bool(json, "due", snapshot_is_due(s));
	json_pair_string(json, "reason", h->reason);
	json_pair_string(json, "mode", gcpreload_mode_name(h->mode));
	json_pair_string(json, "sample", gcpreload_sample_name(h->sample));
	json_pair_string(json, "guard", gcpreload_guard_name(h->idle.guard));
	json_key(json, COUNTERS_KEY(frozen_objects));
	if (h->frozen_objects < 0)
		json_null(json);
	else
		json_int(json, h->frozen_objects);
	json_key(json, COUNTERS_KEY(gc_time_share));
	if (share_now(s) < 0)
		json_null(json);
	else
		json_double(json, share_now(s));
	json_pair_string(json, "period", gcpreload_period_name(snapshot_period_now(s)));
	json_generations(s, json);
	counters_read(&counters, h);
	json_pair_uint(json, COUNTERS_KEY(events_lost), counters.values[COUNTERS_events_lost]);
	json_close(json, '}');
}

static int by_share(const void *a, const void *b)
{
	const struct snapshot *x = *(struct snapshot *const *)a, *y = *(struct snapshot *const *)b;

	if (x->alive != y->alive)
		return x->alive ? -1 : 1;
	if (share_now(x) != share_now(y))
		return share_now(x) > share_now(y) ? -1 : 1;
	return x->header.pid < y->header.pid ? -1 : x->header.pid > y->header.pid;
}

static void json_processes(struct snapshots *all, const struct page_style *style, struct json *json)
{
	size_t i;

	if (all->n)
		qsort(all->list, all->n, sizeof *all->list, by_share);
	json_key(json, "processes");
	json_open(json, '[');
	for (i = 0; i < all->n && i < MOST_PROCESSES && all->list[i]->alive; i++)
		json_process(all->list[i], style, json);
	json_close(json, ']');
}

/* ---- all of it ---- */

static void page_about(const struct page_style *style, bool saved, struct json *json)
{
	static double started; /* tells a restart, after which ended processes are forgotten */
	char host[256] = "";

	if (!started)
		started = page_now(CLOCK_REALTIME);
	gethostname(host, sizeof host - 1);
	json_pair_string(json, "version", GCPRELOAD_VERSION);
	json_pair_string(json, "host", host);
	json_pair_double(json, "exporter", started);
	json_pair_double(json, "time", page_now(CLOCK_REALTIME));
	json_pair_double(json, "clock", page_now(CLOCK_MONOTONIC));
	json_pair_bool(json, "saved", saved);
	json_pair_bool(json, "commands", style->commands);
	json_key(json, "histogram");
	json_open(json, '{');
	json_pair_int(json, "scale", GCPRELOAD_HISTOGRAM_SCALE);
	json_pair_int(json, "first", GCPRELOAD_HISTOGRAM_FIRST);
	json_close(json, '}');
}

/* What the counters of the page are called, and what they count. */
static void json_metrics(struct json *json)
{
	unsigned i;

	json_key(json, "metrics");
	json_open(json, '{');
	for (i = 0; i < COUNTERS; i++) {
		if (!(counters_table[i].where & COUNTERS_PAGE))
			continue;
		json_key(json, counters_table[i].json);
		json_open(json, '{');
		json_pair_string(json, "title", counters_table[i].title);
		json_pair_string(json, "unit", counters_table[i].unit);
		json_pair_string(json, "help", counters_table[i].help);
		json_close(json, '}');
	}
	json_close(json, '}');
}

/* Where there are more rings than descriptors, gather knows what was counted; the events are not at
 * hand then. */
static void page_take_counts(struct snapshot *s, struct gather_process *process)
{
	gather_series *sum = memory_need(calloc(1, sizeof *sum));
	unsigned p, g, c;

	gather_add(*sum, process);
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
			for (c = 0; c < GCPRELOAD_CAUSES; c++)
				if ((*sum)[p][g][c].collections)
					snapshot_add(s, p, g, c, &(*sum)[p][g][c]);
	load_measure(s);
	free(sum);
}

static void take_process(struct snapshot *s, struct gather_process *process)
{
	snapshot_read(s, process->reader, process->alive);
	if (process->reader.fd < 0)
		page_take_counts(s, process);
}

void page_data(FILE *out, struct gather *gather, const struct page_style *style, bool saved,
	       bool with_history)
{
	struct page_history *history = with_history ? page_history_read(gather) : NULL;
	struct snapshots all = { 0 };
	struct group *groups;
	struct json json;
	size_t i;

	for (i = 0; i < gather->n_processes; i++)
		take_process(snapshots_add(&all), &gather->processes[i]);
	groups = make_groups(gather, &all);
	json_start(&json, out, false);
	json.html = saved;
	json_open(&json, '{');
	page_about(style, saved, &json);
	json_metrics(&json);
	json_key(&json, "total");
	json_group(&groups[gather->n_services], history, &json);
	json_pair_uint(&json, "n_services", gather->n_services);
	json_key(&json, "services");
	json_open(&json, '[');
	for (i = 0; i < gather->n_services && i < MOST_SERVICES; i++)
		json_group(&groups[i], history, &json);
	json_close(&json, ']');
	json_processes(&all, style, &json);
	json_close(&json, '}');
	json_finish(&json);
	free(groups);
	snapshots_free(&all);
	page_history_free(history);
}

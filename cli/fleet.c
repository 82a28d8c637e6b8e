/* SPDX-License-Identifier: MIT */
#include "cli/fleet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/fair.h"
#include "cli/fleet_read.h"
#include "cli/json.h"
#include "cli/memory.h"
#include "cli/rank.h"
#include "cli/table.h"
#include "cli/text.h"

/* Pods of a kind. */
struct fleet_group {
	const char *service, *version;
	enum fleet_side side;
	size_t given, n; /* and those of which enough is known */
	double *per_cpu; /* seconds in collections in requests for each CPU second */
	double *loads;	 /* of a processor */
	double collections;
};

struct fleet_comparison {
	struct fleet_group groups[2];
	bool versions; /* of two versions; else of untuned and tuned */
	bool steady;
	char why_not[256];
	struct rank_interval interval;
};

static const char *const side_names[FLEET_SIDES] = { "untuned", "tuned", "baseline, earlier" };

static bool group_has(const struct fleet_group *group, const struct fleet_pod *pod)
{
	return pod->side == group->side && strcmp(pod->service, group->service) == 0 &&
	       strcmp(pod->version, group->version) == 0;
}

/* Whether a pod can be told by a rate at all. */
static bool pod_is_told(const struct fleet_pod *pod, bool steady)
{
	const struct fleet_sums *sums = steady ? &pod->steady : &pod->all;

	return !pod->load_unknown && sums->seconds >= FAIR_SECONDS &&
	       sums->cpu_seconds >= FAIR_NO_LOAD * sums->seconds;
}

static void group_fill(struct fleet_group *group, const struct fleet *fleet, bool steady)
{
	size_t i;

	free(group->per_cpu);
	free(group->loads);
	group->per_cpu = memory_need(calloc(fleet->n_pods + 1, sizeof *group->per_cpu));
	group->loads = memory_need(calloc(fleet->n_pods + 1, sizeof *group->loads));
	group->given = group->n = 0;
	group->collections = 0;
	for (i = 0; i < fleet->n_pods; i++) {
		const struct fleet_pod *pod = &fleet->pods[i];
		const struct fleet_sums *sums = steady ? &pod->steady : &pod->all;

		if (!group_has(group, pod))
			continue;
		group->given++;
		if (!pod_is_told(pod, steady))
			continue;
		group->per_cpu[group->n] = sums->in_requests / sums->cpu_seconds;
		group->loads[group->n++] = sums->cpu_seconds / sums->seconds;
		group->collections += sums->collections;
	}
}

static const char *group_name(const struct fleet_comparison *c, int i)
{
	const struct fleet_group *group = &c->groups[i];

	if (!c->versions)
		return side_names[group->side];
	return *group->version ? group->version : "without a version";
}

static void fleet_compare(struct fleet_comparison *c)
{
	struct fleet_group *a = &c->groups[0], *b = &c->groups[1];
	double loads[2] = { rank_median(a->loads, a->n), rank_median(b->loads, b->n) };

	if (!rank_compare(&c->interval, a->per_cpu, a->n, b->per_cpu, b->n))
		snprintf(c->why_not, sizeof c->why_not,
			 "%d pods on each side are needed, of a minute under load at least; there "
			 "are %zu %.60s and %zu %.60s",
			 RANK_LEAST, a->n, group_name(c, 0), b->n, group_name(c, 1));
	else if (fair_loads_differ(loads[0], loads[1]))
		snprintf(c->why_not, sizeof c->why_not,
			 "load differs: a median of %.2g of a processor %.60s and %.2g %.60s",
			 loads[0], group_name(c, 0), loads[1], group_name(c, 1));
	else if (a->collections < FAIR_COLLECTIONS && b->collections < FAIR_COLLECTIONS)
		snprintf(c->why_not, sizeof c->why_not,
			 "fewer than %d collections in requests on both sides", FAIR_COLLECTIONS);
}

/* ---- what is shown ---- */

struct fleet_show {
	const struct fleet *fleet;
	struct json *json; /* NULL: text */
	size_t shown;
};

static void fleet_title(const struct fleet_comparison *c)
{
	const struct fleet_group *a = &c->groups[0], *b = &c->groups[1];
	char service[300], x[300], y[300];

	text_safe(service, sizeof service, *a->service ? a->service : "without a service's name");
	text_safe(x, sizeof x, group_name(c, 0));
	text_safe(y, sizeof y, group_name(c, 1));
	if (c->versions)
		printf("%s, %s: version %s against %s\n\n", service, side_names[b->side], y, x);
	else if (*a->version)
		printf("%s %s: tuned against untuned\n\n", service,
		       text_safe(x, sizeof x, a->version));
	else
		printf("%s: tuned against untuned\n\n", service);
}

static void fleet_verdict(const struct fleet_comparison *c)
{
	const struct rank_interval *r = &c->interval;
	char why[1100], name[300];

	if (*c->why_not) {
		printf("Not compared: %s.\n\n", text_safe(why, sizeof why, c->why_not));
		return;
	}
	text_safe(name, sizeof name, group_name(c, 1));
	if (r->low <= 1 && r->high >= 1)
		printf("No difference is sure in time in collections in requests per CPU second: ");
	else
		printf("%s: %s time in collections in requests per CPU second: ", name,
		       r->high < 1 ? "less" : "more");
	printf("%.2fx, from %.2fx to %.2fx (95 %% sure).\n", r->ratio, r->low, r->high);
	if (c->groups[0].side == FLEET_EARLIER)
		printf("Untuned is the baseline of these pods, at an earlier time.\n");
	if (c->steady)
		printf("Without the first minutes of each process.\n");
	printf("\n");
}

static void fleet_print(const struct fleet_comparison *c)
{
	static const struct column columns[] = { { "", 0, 0 },
						 { "PODS", 1, 0 },
						 { "LEFT OUT", 1, 0 },
						 { "CPU A SECOND", 1, 0 },
						 { "GC PER CPU SECOND", 1, 0 } };
	struct table table;
	char text[64];
	int i;

	fleet_title(c);
	table_start(&table, columns, sizeof columns / sizeof *columns);
	for (i = 0; i < 2; i++) {
		const struct fleet_group *group = &c->groups[i];

		table_cell(&table, group_name(c, i));
		table_cellf(&table, "%zu", group->n);
		table_cellf(&table, "%zu", group->given - group->n);
		table_cellf(&table, "%.2g", rank_median(group->loads, group->n));
		table_cell(&table,
			   text_duration(text, sizeof text, rank_median(group->per_cpu, group->n)));
	}
	table_print(&table, stdout, 1);
	printf("\n");
	fleet_verdict(c);
}

static void fleet_json_group(const struct fleet_group *group, const char *key, struct json *json)
{
	json_key(json, key);
	json_open(json, '{');
	json_pair_string(json, "version", *group->version ? group->version : NULL);
	json_pair_string(json, "side", group->side == FLEET_TUNED ? "tuned" : "untuned");
	json_pair_bool(json, "earlier", group->side == FLEET_EARLIER);
	json_pair_uint(json, "pods", group->n);
	json_pair_uint(json, "left_out", group->given - group->n);
	json_pair_double(json, "cpu_per_second", rank_median(group->loads, group->n));
	json_pair_double(json, "in_request_seconds_per_cpu_second",
			 rank_median(group->per_cpu, group->n));
	json_close(json, '}');
}

static void fleet_json(const struct fleet_comparison *c, struct json *json)
{
	const struct rank_interval *r = &c->interval;
	bool compared = !*c->why_not;

	json_open(json, '{');
	json_pair_string(json, "service", *c->groups[0].service ? c->groups[0].service : NULL);
	json_pair_string(json, "of", c->versions ? "versions" : "tuning");
	fleet_json_group(&c->groups[0], "a", json);
	fleet_json_group(&c->groups[1], "b", json);
	json_pair_bool(json, "without_first_minutes", c->steady);
	json_pair_string(json, "not_compared", compared ? NULL : c->why_not);
	json_pair_double(json, "ratio", compared ? r->ratio : NAN);
	json_pair_double(json, "low", compared ? r->low : NAN);
	json_pair_double(json, "high", compared ? r->high : NAN);
	json_pair_double(json, "confidence", RANK_CONFIDENCE);
	json_pair_string(json, "sure",
			 !compared     ? NULL
			 : r->high < 1 ? "less"
			 : r->low > 1  ? "more"
				       : "nothing");
	json_close(json, '}');
}

static void fleet_show_two(struct fleet_show *show, struct fleet_group a, struct fleet_group b,
			   bool versions)
{
	struct fleet_comparison c = { .groups = { a, b }, .versions = versions, .steady = true };

	group_fill(&c.groups[0], show->fleet, true);
	group_fill(&c.groups[1], show->fleet, true);
	if (c.groups[0].n < RANK_LEAST || c.groups[1].n < RANK_LEAST) {
		c.steady = false;
		group_fill(&c.groups[0], show->fleet, false);
		group_fill(&c.groups[1], show->fleet, false);
	}
	if (c.groups[0].given && c.groups[1].given) {
		fleet_compare(&c);
		if (show->json)
			fleet_json(&c, show->json);
		else
			fleet_print(&c);
		show->shown++;
	}
	free(c.groups[0].per_cpu);
	free(c.groups[0].loads);
	free(c.groups[1].per_cpu);
	free(c.groups[1].loads);
}

/* ---- which with which ---- */

static bool fleet_has(const struct fleet *fleet, const struct fleet_group *group)
{
	size_t i;

	for (i = 0; i < fleet->n_pods; i++)
		if (group_has(group, &fleet->pods[i]))
			return true;
	return false;
}

/* Processes of the same time are preferred to what the tuned ones were before. */
static void fleet_tuning(struct fleet_show *show, const char *service, const char *version)
{
	struct fleet_group a = { .service = service, .version = version, .side = FLEET_UNTUNED };
	struct fleet_group b = a;

	b.side = FLEET_TUNED;
	if (!fleet_has(show->fleet, &a))
		a.side = FLEET_EARLIER;
	fleet_show_two(show, a, b, false);
}

static void fleet_versions(struct fleet_show *show, const char *service, const char *before,
			   const char *version)
{
	static const enum fleet_side sides[] = { FLEET_TUNED, FLEET_UNTUNED };
	int i;

	for (i = 0; i < 2; i++)
		fleet_show_two(
		    show,
		    (struct fleet_group){ .service = service, .version = before, .side = sides[i] },
		    (struct fleet_group){
			.service = service, .version = version, .side = sides[i] },
		    true);
}

static int by_service_and_version(const void *a, const void *b)
{
	const struct fleet_pod *x = a, *y = b;
	int order = strcmp(x->service, y->service);

	return order ? order : strverscmp(x->version, y->version);
}

static void fleet_all(struct fleet_show *show)
{
	const struct fleet_pod *pod, *before = NULL;
	size_t i;

	for (i = 0; i < show->fleet->n_pods; i++) {
		pod = &show->fleet->pods[i];
		if (before && by_service_and_version(before, pod) == 0)
			continue;
		fleet_tuning(show, pod->service, pod->version);
		if (before && strcmp(before->service, pod->service) == 0)
			fleet_versions(show, pod->service, before->version, pod->version);
		before = pod;
	}
}

static void fleet_all_json(struct fleet_show *show)
{
	struct json json;

	json_start(&json, stdout, true);
	json_open(&json, '{');
	json_key(&json, "comparisons");
	json_open(&json, '[');
	show->json = &json;
	fleet_all(show);
	json_close(&json, ']');
	json_close(&json, '}');
	json_finish(&json);
}

int fleet_reports(char *const *paths, size_t n, bool as_json)
{
	struct fleet fleet = { 0 };
	struct fleet_show show = { .fleet = &fleet };
	int ret = EXIT_FINE;
	size_t i;

	for (i = 0; i < n && ret == EXIT_FINE; i++)
		if (fleet_read(&fleet, paths[i]) < 0)
			ret = EXIT_NO;
	if (ret == EXIT_FINE) {
		if (fleet.n_pods)
			qsort(fleet.pods, fleet.n_pods, sizeof *fleet.pods, by_service_and_version);
		if (as_json)
			fleet_all_json(&show);
		else
			fleet_all(&show);
		if (!show.shown && !as_json)
			printf("Nothing to compare: tuned and untuned pods of a service are "
			       "needed, or two versions of it.\n");
	}
	fleet_free(&fleet);
	return ret;
}

/* SPDX-License-Identifier: MIT */
#include "cli/fleet_read.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json_read.h"
#include "cli/memory.h"
#include "cli/saved.h"
#include "cli/text.h"

static const char *fleet_text(const struct json_value *object, const char *key)
{
	const struct json_value *value = json_member(object, key);

	return value && value->type == JSON_TEXT ? value->text : "";
}

static struct fleet_pod *fleet_pod_of(struct fleet *fleet, const char *name, const char *service,
				      const char *version, enum fleet_side side)
{
	struct fleet_pod *pod;
	size_t i;

	for (i = 0; i < fleet->n_pods; i++) {
		pod = &fleet->pods[i];
		if (pod->side == side && strcmp(pod->name, name) == 0 &&
		    strcmp(pod->service, service) == 0 && strcmp(pod->version, version) == 0)
			return pod;
	}
	fleet->pods = memory_need(realloc(fleet->pods, (fleet->n_pods + 1) * sizeof *fleet->pods));
	pod = &fleet->pods[fleet->n_pods++];
	*pod = (struct fleet_pod){
		.name = format_text("%s", name),
		.service = format_text("%s", service),
		.version = format_text("%s", version),
		.side = side,
	};
	return pod;
}

static void fleet_add_sums(struct fleet_sums *sums, const struct json_value *from)
{
	sums->seconds += json_number(from, "seconds");
	sums->cpu_seconds += json_number(from, "cpu_seconds");
	sums->collections += json_number(from, "in_request_collections");
	sums->in_requests += json_number(from, "in_request_seconds");
}

static const struct json_value *fleet_period(const struct json_value *process, const char *name)
{
	const struct json_value *list = json_member(process, "periods"), *one;

	for (one = list && list->type == JSON_ARRAY ? list->first : NULL; one; one = one->next)
		if (strcmp(fleet_text(one, "period"), name) == 0)
			return one;
	return NULL;
}

static void fleet_add_period(struct fleet *fleet, const struct json_value *process,
			     const char *pod_name, const struct json_value *period,
			     enum fleet_side side)
{
	const struct json_value *service = json_member(process, "service"), *cpu;
	struct fleet_pod *pod;

	if (!period)
		return;
	pod = fleet_pod_of(fleet, pod_name, fleet_text(service, "name"),
			   fleet_text(service, "version"), side);
	cpu = json_member(period, "cpu_seconds");
	pod->load_unknown = pod->load_unknown || !cpu || cpu->type != JSON_NUMBER;
	fleet_add_sums(&pod->all, period);
	fleet_add_sums(&pod->steady, json_member(period, "steady"));
}

/* The same process twice would be two observations of one. */
static int fleet_note_process(struct fleet *fleet, const struct json_value *process,
			      const char *path)
{
	char *key = format_text("%s %.0f %.0f %.0f", fleet_text(process, "hostname"),
				json_number(process, "pid_namespace"), json_number(process, "pid"),
				json_number(process, "start_time"));
	size_t i;

	for (i = 0; i < fleet->n_processes; i++)
		if (strcmp(fleet->processes[i].key, key) == 0) {
			text_complain("%s: has a process that %s has, too; give one report of each "
				      "pod",
				      path, fleet->processes[i].file);
			free(key);
			return -1;
		}
	fleet->processes =
	    memory_need(realloc(fleet->processes, (i + 1) * sizeof *fleet->processes));
	fleet->processes[fleet->n_processes++] = (struct fleet_process){ key, path };
	return 0;
}

static int fleet_add_process(struct fleet *fleet, const struct json_value *process,
			     const char *path)
{
	const char *host = fleet_text(process, "hostname");
	const struct json_value *tuned = fleet_period(process, "tuned");

	/* A parent that only forks serves nothing, and of what cannot be read nothing is known. */
	if (strcmp(fleet_text(process, "state"), "parent") == 0 || !json_member(process, "periods"))
		return 0;
	if (fleet_note_process(fleet, process, path) < 0)
		return -1;
	host = *host ? host : path;
	fleet_add_period(fleet, process, host, tuned, FLEET_TUNED);
	fleet_add_period(fleet, process, host, fleet_period(process, "baseline"),
			 tuned ? FLEET_EARLIER : FLEET_UNTUNED);
	return 0;
}

int fleet_read(struct fleet *fleet, const char *path)
{
	struct json_value *report;
	const struct json_value *list = saved_processes(&report, path), *one;
	int ret = list ? 0 : -1;

	for (one = list ? list->first : NULL; one && ret == 0; one = one->next)
		ret = fleet_add_process(fleet, one, path);
	json_forget(report);
	return ret;
}

void fleet_free(struct fleet *fleet)
{
	while (fleet->n_pods) {
		struct fleet_pod *pod = &fleet->pods[--fleet->n_pods];

		free(pod->name);
		free(pod->service);
		free(pod->version);
	}
	while (fleet->n_processes)
		free(fleet->processes[--fleet->n_processes].key);
	free(fleet->pods);
	free(fleet->processes);
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "cli/counters.h"
#include "cli/marks.h"
#include "cli/memory.h"
#include "cli/snapshot.h"

static void snapshot_json_thresholds(struct json *json, const char *key, const int32_t *numbers)
{
	int g;

	json_key(json, key);
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		json_int(json, numbers[g]);
	json_close(json, ']');
}

static void snapshot_json_flags(const struct snapshot *s, struct json *json)
{
	json_key(json, "flags");
	json_open(json, '[');
	if (s->header.flags & GCPRELOAD_FLAG_LATE)
		json_string(json, "late");
	if (s->header.flags & GCPRELOAD_FLAG_ATTACHED)
		json_string(json, "attached");
	if (snapshot_is_due(s))
		json_string(json, "due");
	if (s->header.flags & GCPRELOAD_FLAG_SUBINTERPRETERS)
		json_string(json, "subinterpreters");
	json_close(json, ']');
}

static void text_or_null(struct json *json, const char *key, const char *text)
{
	json_pair_string(json, key, *text ? text : NULL);
}

static void snapshot_json_identity(const struct snapshot *s, struct json *json)
{
	const struct gcpreload_header *h = &s->header;

	json_pair_int(json, "pid", h->pid);
	json_pair_int(json, "ppid", h->ppid);
	json_pair_bool(json, "alive", s->alive);
	json_pair_string(json, "command", h->command);
	text_or_null(json, "python", h->python);
	json_pair_string(json, "mode", gcpreload_mode_name(h->mode));
	json_pair_string(json, "state", snapshot_state(s));
	text_or_null(json, "reason", h->reason);
	text_or_null(json, "trigger", h->trigger);
	text_or_null(json, "fired", h->fired);
	json_key(json, "service");
	json_open(json, '{');
	text_or_null(json, "name", h->service_name);
	json_pair_string(json, "from", gcpreload_service_from_name(h->service.from));
	text_or_null(json, "version", h->service_version);
	text_or_null(json, "environment", h->service_environment);
	json_close(json, '}');
	json_pair_string(json, "hostname", h->hostname);
	json_pair_string(json, "cgroup", h->cgroup);
	json_pair_uint(json, "uid", h->uid);
	json_pair_uint(json, "pid_namespace", h->pid_namespace);
	json_pair_uint(json, "start_time", h->start_time);
	json_pair_string(json, "library", h->library);
}

static void snapshot_json_tuning(const struct snapshot *s, struct json *json)
{
	const struct gcpreload_header *h = &s->header;
	double share = snapshot_share(&s->periods[snapshot_period_now(s)]);
	struct counters counters;

	if (h->frozen_objects < 0)
		json_pair_null(json, COUNTERS_KEY(frozen_objects));
	else
		json_pair_int(json, COUNTERS_KEY(frozen_objects), h->frozen_objects);
	snapshot_json_thresholds(json, COUNTERS_KEY(thresholds), h->thresholds);
	snapshot_json_thresholds(json, COUNTERS_KEY(thresholds_before), h->thresholds_before);
	snapshot_json_flags(s, json);
	if (snapshot_attached_since(s))
		json_pair_double(json, "attached_seconds",
				 (double)snapshot_attached_since(s) / 1e9);
	else
		json_pair_null(json, "attached_seconds");
	counters_read(&counters, h);
	counters_json(&counters, COUNTERS_PS, json);
	marks_json_gauges(h, json);
	if (share < 0)
		json_pair_null(json, COUNTERS_KEY(gc_time_share));
	else
		json_pair_double(json, COUNTERS_KEY(gc_time_share), share);
}

void snapshot_json_requests(const struct snapshot_period *period, struct json *json)
{
	json_pair_double(json, COUNTERS_KEY(in_request_time),
			 (double)period->in_requests.sum_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(in_request_max),
			 (double)period->in_requests.max_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(idle_time), (double)period->idle.sum_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(idle_max), (double)period->idle.max_ns / 1e9);
}

/* What mode idle did, since the process became ready. */
static void snapshot_json_idle(const struct snapshot *s, struct json *json)
{
	const struct gcpreload_idle *i = &s->header.idle;
	struct snapshot_period serving = s->periods[GCPRELOAD_PERIOD_BASELINE];

	snapshot_period_merge(&serving, &s->periods[GCPRELOAD_PERIOD_TUNED]);
	snapshot_json_requests(&serving, json);
	json_pair_double(json, COUNTERS_KEY(startup_max), snapshot_startup_longest(s));
	json_pair_string(json, "guard", gcpreload_guard_name(i->guard));
	if (i->due)
		json_pair_int(json, COUNTERS_KEY(due_generation), (int)i->due - 1);
	else
		json_pair_null(json, COUNTERS_KEY(due_generation));
	json_pair_string(json, "sample", gcpreload_sample_name(s->header.sample));
}

/* A process without a ring has the same members, and nothing in them. */
static void nothing_known(const struct snapshot *s, struct json *json)
{
	static const char *const unknown[] = {
		"python",
		"mode",
		"trigger",
		"fired",
		"frozen_objects",
		"thresholds",
		"thresholds_before",
		"attached_seconds",
		"gc_time_share",
		"library",
		"in_request_seconds",
		"in_request_max_seconds",
		"startup_max_seconds",
		"idle_seconds",
		"idle_max_seconds",
		"guard",
		"due_generation",
		"sample",
		"live_objects",
		"pending_garbage",
		"mark_fork_max_seconds",
		"longest_step_seconds",
	};
	size_t i;

	if (s->why) {
		json_pair_null(json, "pid");
		json_pair_null(json, "ppid");
		json_pair_null(json, "alive");
		json_pair_null(json, "command");
	} else {
		json_pair_int(json, "pid", s->header.pid);
		json_pair_int(json, "ppid", s->header.ppid);
		json_pair_bool(json, "alive", s->alive);
		json_pair_string(json, "command", s->header.command);
		json_pair_uint(json, "uid", s->header.uid);
		json_pair_uint(json, "start_time", s->header.start_time);
	}
	json_pair_string(json, "state", snapshot_state(s));
	json_pair_string(json, "reason", s->why ? s->why : s->header.reason);
	for (i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
		json_pair_null(json, unknown[i]);
	counters_json(NULL, COUNTERS_PS, json);
}

void snapshot_json(const struct snapshot *s, struct json *json)
{
	char *file = s->name ? format_text("%s/%s", s->dir, s->name) : NULL;

	if (s->why || s->starting) {
		nothing_known(s, json);
	} else {
		snapshot_json_identity(s, json);
		snapshot_json_tuning(s, json);
		snapshot_json_idle(s, json);
	}
	json_pair_string(json, "file", file);
	free(file);
}

/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "base/clock.h"
#include "cli/memory.h"
#include "cli/snapshot.h"

static void thresholds(struct json *json, const char *key, const int32_t *numbers)
{
	int g;

	json_key(json, key);
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		json_int(json, numbers[g]);
	json_close(json, ']');
}

static void flags(const struct snapshot *s, struct json *json)
{
	json_key(json, "flags");
	json_open(json, '[');
	if (s->header.flags & GCPRELOAD_FLAG_LATE)
		json_string(json, "late");
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

static void identity(const struct snapshot *s, struct json *json)
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

static void tuning(const struct snapshot *s, struct json *json)
{
	const struct gcpreload_header *h = &s->header;
	double share = snapshot_share(&s->periods[snapshot_period_now(s)]);

	if (h->frozen_objects < 0)
		json_pair_null(json, "frozen_objects");
	else
		json_pair_int(json, "frozen_objects", h->frozen_objects);
	thresholds(json, "thresholds", h->thresholds);
	thresholds(json, "thresholds_before", h->thresholds_before);
	flags(s, json);
	json_pair_uint(json, "events", h->head);
	json_pair_uint(json, "events_lost", snapshot_events_lost(s));
	if (share < 0)
		json_pair_null(json, "gc_time_share");
	else
		json_pair_double(json, "gc_time_share", share);
}

/* What mode idle did, since the process became ready. */
static void idle(const struct snapshot *s, struct json *json)
{
	const struct gcpreload_idle *i = &s->header.idle;
	struct snapshot_period serving = s->periods[GCPRELOAD_PERIOD_BASELINE];

	snapshot_period_merge(&serving, &s->periods[GCPRELOAD_PERIOD_TUNED]);
	json_pair_double(json, "in_request_seconds", (double)serving.in_requests.sum_ns / 1e9);
	json_pair_double(json, "in_request_max_seconds", (double)serving.in_requests.max_ns / 1e9);
	json_pair_double(json, "idle_seconds", (double)serving.idle.sum_ns / 1e9);
	json_pair_double(json, "idle_max_seconds", (double)serving.idle.max_ns / 1e9);
	json_pair_uint(json, "delayed_wakeups", i->delayed_wakeups);
	json_pair_double(json, "delayed_seconds",
			 gcpreload_elapsed_wrapped(i->delayed_ns) ? 0
								  : (double)i->delayed_ns / 1e9);
	json_key(json, "refused_chances");
	json_open(json, '{');
	json_pair_uint(json, "busy", i->refused_busy);
	json_pair_uint(json, "family", i->refused_family);
	json_pair_uint(json, "budget", i->refused_budget);
	json_pair_uint(json, "throttled", i->refused_throttled);
	json_close(json, '}');
	json_pair_string(json, "guard", gcpreload_guard_name(i->guard));
	json_pair_uint(json, "guard_trips", i->guard_trips);
	if (i->due)
		json_pair_int(json, "due_generation", (int)i->due - 1);
	else
		json_pair_null(json, "due_generation");
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
		"events_lost",
		"gc_time_share",
		"library",
		"in_request_seconds",
		"in_request_max_seconds",
		"idle_seconds",
		"idle_max_seconds",
		"delayed_wakeups",
		"delayed_seconds",
		"refused_chances",
		"guard",
		"guard_trips",
		"due_generation",
		"sample",
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
}

void snapshot_json(const struct snapshot *s, struct json *json)
{
	char *file = s->name ? format_text("%s/%s", s->dir, s->name) : NULL;

	if (s->why || s->starting) {
		nothing_known(s, json);
	} else {
		identity(s, json);
		tuning(s, json);
		idle(s, json);
	}
	json_pair_string(json, "file", file);
	free(file);
}

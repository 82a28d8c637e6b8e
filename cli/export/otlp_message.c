/* SPDX-License-Identifier: MIT */
#include "cli/export/otlp_message.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/export/otlp_config.h"
#include "cli/memory.h"

#define OCTAVE		 (1 << GCPRELOAD_HISTOGRAM_SCALE)
#define DELTA		 1 /* AGGREGATION_TEMPORALITY_DELTA */
#define CUMULATIVE	 2
#define LARGEST_RESOURCE 16

/* 2^-20 s, the lower bound of the first bucket. */
#define ZERO_THRESHOLD (1. / (1u << (-GCPRELOAD_HISTOGRAM_FIRST / OCTAVE)))
_Static_assert(GCPRELOAD_HISTOGRAM_FIRST % OCTAVE == 0, "a power of two");

/* ---- what protobuf's JSON has ---- */

static void pair_uint64(struct json *json, const char *key, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, number);
	json_pair_string(json, key, text);
}

/* An attribute that is a text, or a number where text is NULL. */
struct attribute {
	const char *key;
	const char *text;
	uint64_t number;
};

static void write_attribute(struct json *json, const struct attribute *attribute)
{
	json_open(json, '{');
	json_pair_string(json, "key", attribute->key);
	json_key(json, "value");
	json_open(json, '{');
	if (attribute->text)
		json_pair_string(json, "stringValue", attribute->text);
	else
		pair_uint64(json, "intValue", attribute->number);
	json_close(json, '}');
	json_close(json, '}');
}

static void write_attributes(struct json *json, const struct attribute *list, size_t n)
{
	size_t i;

	json_key(json, "attributes");
	json_open(json, '[');
	for (i = 0; i < n; i++)
		write_attribute(json, &list[i]);
	json_close(json, ']');
}

/* ---- the resource ---- */

struct resource {
	struct attribute list[LARGEST_RESOURCE];
	size_t n;
};

/* A text that is empty is left out. */
static void otlp_message_put(struct resource *resource, const char *key, const char *text)
{
	if (*text)
		resource->list[resource->n++] = (struct attribute){ key, text, 0 };
}

static bool otlp_message_has(const struct otlp_pairs *pairs, const char *key)
{
	size_t i;

	for (i = 0; i < pairs->n; i++)
		if (strcmp(pairs->list[i].key, key) == 0)
			return true;
	return false;
}

static void put_process(struct resource *resource, const struct gcpreload_header *h,
			const struct otlp_style *style)
{
	otlp_message_put(resource, "host.name", h->hostname);
	resource->list[resource->n++] = (struct attribute){ "process.pid", NULL, (uint32_t)h->pid };
	otlp_message_put(resource, "process.runtime.name", "cpython");
	otlp_message_put(resource, "process.runtime.version", h->python);
	if (style->command_line)
		otlp_message_put(resource, "process.command_line", h->command);
}

/* Backends tell streams apart by it: Prometheus' label instance is made of it. */
static char *instance_id(const struct otlp_subject *subject, const char *host)
{
	const struct gcpreload_header *h = subject->newest;

	if (!subject->ring)
		return memory_need(strdup(host));
	return format_text("%s:%s", h && *h->hostname ? h->hostname : host, subject->ring);
}

static void write_resource(struct json *json, const struct otlp_subject *subject,
			   const struct otlp_style *style)
{
	struct resource own = { .n = 0 };
	char host[256] = "", *instance;
	size_t i, j;

	gethostname(host, sizeof host - 1);
	instance = instance_id(subject, host);
	otlp_message_put(&own, "service.name", subject->service);
	otlp_message_put(&own, "service.version", subject->version);
	otlp_message_put(&own, "deployment.environment.name", subject->environment);
	if (subject->ring && subject->newest)
		put_process(&own, subject->newest, style);
	else if (!otlp_message_has(style->attributes, "host.name"))
		otlp_message_put(&own, "host.name", host);
	if (subject->ring || !otlp_message_has(style->attributes, "service.instance.id"))
		otlp_message_put(&own, "service.instance.id", instance);
	if (!*subject->service && !otlp_message_has(style->attributes, "service.name"))
		otlp_message_put(&own, "service.name", "unknown_service:python");

	json_key(json, "resource");
	json_open(json, '{');
	json_key(json, "attributes");
	json_open(json, '[');
	for (i = 0; i < own.n; i++)
		write_attribute(json, &own.list[i]);
	for (i = 0; i < style->attributes->n; i++) {
		const struct otlp_pair *pair = &style->attributes->list[i];

		for (j = 0; j < own.n && strcmp(own.list[j].key, pair->key) != 0; j++)
			;
		if (j == own.n)
			write_attribute(json, &(struct attribute){ pair->key, pair->value, 0 });
	}
	json_close(json, ']');
	json_close(json, '}');
	free(instance);
}

/* ---- data points ---- */

/* One series of a subject: what came since the last push that arrived, or since ever. */
struct point {
	uint64_t start, time;
	unsigned period, generation, cause;
	struct gcpreload_series counts;
	bool max_known;
	const struct exemplars *exemplars;
	uint64_t exemplars_since;
};

#define LESS(a, b) ((a) > (b) ? (a) - (b) : 0)

static void otlp_message_subtract(struct point *point, const struct gcpreload_series *before)
{
	struct gcpreload_series *counts = &point->counts;
	int j;

	/* The longest since ever is the longest since then only where it grew. */
	point->max_known = counts->max_ns > before->max_ns;
	counts->collections = LESS(counts->collections, before->collections);
	counts->collected = LESS(counts->collected, before->collected);
	counts->uncollectable = LESS(counts->uncollectable, before->uncollectable);
	counts->sum_ns = LESS(counts->sum_ns, before->sum_ns);
	counts->below = LESS(counts->below, before->below);
	counts->above = LESS(counts->above, before->above);
	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		counts->buckets[j] = LESS(counts->buckets[j], before->buckets[j]);
}

typedef void write_point(struct json *json, const struct point *point, const void *arg);

/* Calls write for every series with collections to tell. Returns how many there are; write may be
 * NULL. */
static size_t each_point(struct json *json, const struct otlp_subject *subject, bool delta,
			 write_point *write, const void *arg)
{
	struct point point = { .start = delta ? subject->since : subject->start,
			       .time = subject->time,
			       .exemplars = &subject->exemplars };
	unsigned p, g, c;
	size_t n = 0;

	if (point.time < point.start) /* the clock was set back */
		point.time = point.start;
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		for (p = 0; p < GCPRELOAD_PERIODS; p++)
			for (c = 0; c < GCPRELOAD_CAUSES; c++) {
				const struct gcpreload_series *before = subject->arrived[p][g][c];

				if (!subject->now[p][g][c])
					continue;
				point.period = p, point.generation = g, point.cause = c;
				point.counts = *subject->now[p][g][c];
				point.max_known = true;
				point.exemplars_since =
				    before || delta ? subject->since : subject->start;
				if (delta && before)
					otlp_message_subtract(&point, before);
				if (!point.counts.collections)
					continue;
				n++;
				if (write)
					write(json, &point, arg);
			}
	return n;
}

static void begin_point(struct json *json, const struct point *point)
{
	const struct attribute attributes[] = {
		{ "cpython.gc.generation", NULL, point->generation },
		{ "gcpreload.cause", gcpreload_cause_name(point->cause), 0 },
		{ "gcpreload.period", gcpreload_period_name(point->period), 0 },
	};

	json_open(json, '{');
	write_attributes(json, attributes, sizeof attributes / sizeof *attributes);
	pair_uint64(json, "startTimeUnixNano", point->start);
	pair_uint64(json, "timeUnixNano", point->time);
}

static void write_number(struct json *json, const struct point *point, const void *arg)
{
	const unsigned *row = arg;

	begin_point(json, point);
	pair_uint64(json, "asInt", counters_in_series(&point->counts, *row));
	json_close(json, '}');
}

static void write_count(struct json *json, uint64_t count)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIu64, count);
	json_string(json, text);
}

/*
 * The ring's buckets are OTLP's, so nothing is guessed, but at the ends: what took less than the
 * first bucket's lower bound is in zeroCount, with that bound as zeroThreshold. What took longer
 * than the last bucket's upper bound is in one bucket behind it: "more than 16 s", and max tells
 * the longest.
 */
static void write_buckets(struct json *json, const struct gcpreload_series *counts)
{
	uint64_t buckets[GCPRELOAD_BUCKETS + 1];
	int first = 0, end = GCPRELOAD_BUCKETS + 1, j;

	memcpy(buckets, counts->buckets, sizeof counts->buckets);
	buckets[GCPRELOAD_BUCKETS] = counts->above;
	while (first < end && !buckets[first])
		first++;
	while (end > first && !buckets[end - 1])
		end--;
	json_key(json, "positive");
	json_open(json, '{');
	json_pair_int(json, "offset", first < end ? GCPRELOAD_HISTOGRAM_FIRST + first : 0);
	json_key(json, "bucketCounts");
	json_open(json, '[');
	for (j = first; j < end; j++)
		write_count(json, buckets[j]);
	json_close(json, ']');
	json_close(json, '}');
}

/* For backends that have no exponential ones: a bucket for each power of two, from 2^-20 s to
 * 2^4 s; the bounds are among the ring's. */
static void write_explicit(struct json *json, const struct gcpreload_series *counts)
{
	double bound = ZERO_THRESHOLD;
	int i, j;

	json_key(json, "explicitBounds");
	json_open(json, '[');
	for (i = 0; i <= GCPRELOAD_BUCKETS / OCTAVE; i++, bound *= 2)
		json_double(json, bound);
	json_close(json, ']');
	json_key(json, "bucketCounts");
	json_open(json, '[');
	write_count(json, counts->below);
	for (i = 0; i < GCPRELOAD_BUCKETS; i += OCTAVE) {
		uint64_t n = 0;

		for (j = i; j < i + OCTAVE; j++)
			n += counts->buckets[j];
		write_count(json, n);
	}
	write_count(json, counts->above);
	json_close(json, ']');
}

static void write_exponential(struct json *json, const struct gcpreload_series *counts)
{
	json_pair_int(json, "scale", GCPRELOAD_HISTOGRAM_SCALE);
	pair_uint64(json, "zeroCount", counts->below);
	json_pair_double(json, "zeroThreshold", ZERO_THRESHOLD);
	write_buckets(json, counts);
}

static void write_histogram(struct json *json, const struct point *point, const void *arg)
{
	const struct otlp_style *style = arg;
	const struct exemplars_of of = { point->period, point->generation, point->cause };
	const struct gcpreload_series *counts = &point->counts;
	uint64_t all = counts->below + counts->above;
	int j;

	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		all += counts->buckets[j];
	begin_point(json, point);
	pair_uint64(json, "count", all);
	json_pair_double(json, "sum", (double)counts->sum_ns / 1e9);
	if (point->max_known)
		json_pair_double(json, "max", (double)counts->max_ns / 1e9);
	if (style->explicit_histograms)
		write_explicit(json, counts);
	else
		write_exponential(json, counts);
	exemplars_otlp(json, point->exemplars, &of, point->exemplars_since);
	json_close(json, '}');
}

/* ---- metrics ---- */

static void begin_metric(struct json *json, unsigned row, const char *kind)
{
	const struct counters_row *about = &counters_table[row];

	json_open(json, '{');
	json_pair_string(json, "name", about->otlp);
	json_pair_string(json, "unit", about->unit);
	json_pair_string(json, "description", about->help);
	json_key(json, kind);
	json_open(json, '{');
}

static void begin_points(struct json *json)
{
	json_key(json, "dataPoints");
	json_open(json, '[');
}

static void end_metric(struct json *json)
{
	json_close(json, ']');
	json_close(json, '}');
	json_close(json, '}');
}

static void begin_sum(struct json *json, unsigned row, bool delta)
{
	begin_metric(json, row, "sum");
	json_pair_int(json, "aggregationTemporality", delta ? DELTA : CUMULATIVE);
	json_pair_bool(json, "isMonotonic", true);
	begin_points(json);
}

static void write_sums(struct json *json, const struct otlp_subject *subject, bool delta)
{
	unsigned row;

	for (row = COUNTERS_OF_PROCESS; row < COUNTERS_END_OF_SERIES; row++) {
		begin_sum(json, row, delta);
		each_point(json, subject, delta, write_number, &row);
		end_metric(json);
	}
}

/* ---- counters of processes ---- */

/* What came since the last push that arrived, or since ever. */
static struct counters counted_since(const struct otlp_subject *subject, bool delta)
{
	struct counters counted = subject->counted;
	unsigned i;

	for (i = 0; delta && i < COUNTERS_OF_PROCESS; i++)
		counted.values[i] = LESS(counted.values[i], subject->counted_arrived.values[i]);
	return counted;
}

static bool counted_anything(const struct counters *counted)
{
	unsigned i;

	for (i = 0; i < COUNTERS_OF_PROCESS; i++)
		if (*counters_table[i].otlp && counted->values[i])
			return true;
	return false;
}

static void otlp_message_counter(struct json *json, const struct otlp_subject *subject,
				 const struct counters *counted, unsigned row, bool delta)
{
	uint64_t start = delta ? subject->since : subject->start;
	char name[16], key[32];
	const char *value = counters_label(row, name, sizeof name);
	const struct attribute label = { key, value, 0 };

	json_open(json, '{');
	snprintf(key, sizeof key, "gcpreload.%s", name);
	write_attributes(json, &label, *value ? 1 : 0);
	pair_uint64(json, "startTimeUnixNano", start);
	pair_uint64(json, "timeUnixNano", subject->time > start ? subject->time : start);
	if (counters_is_time(row))
		json_pair_double(json, "asDouble", counters_value(counted, row));
	else
		pair_uint64(json, "asInt", counted->values[row]);
	json_close(json, '}');
}

/* A cumulative count begins at zero; a delta of zero is left out. */
static void write_counters(struct json *json, const struct otlp_subject *subject,
			   const struct counters *counted, bool delta)
{
	const char *open = NULL;
	unsigned row;

	for (row = 0; row < COUNTERS_OF_PROCESS; row++) {
		const char *name = counters_table[row].otlp;

		if (!*name || (delta && !counted->values[row]))
			continue;
		if (open && strcmp(open, name) != 0)
			end_metric(json);
		if (!open || strcmp(open, name) != 0)
			begin_sum(json, row, delta);
		open = name;
		otlp_message_counter(json, subject, counted, row, delta);
	}
	if (open)
		end_metric(json);
}

static void write_durations(struct json *json, const struct otlp_subject *subject,
			    const struct otlp_style *style)
{
	bool delta = style->delta_histograms;

	begin_metric(json, COUNTERS_duration,
		     style->explicit_histograms ? "histogram" : "exponentialHistogram");
	json_pair_int(json, "aggregationTemporality", delta ? DELTA : CUMULATIVE);
	begin_points(json);
	each_point(json, subject, delta, write_histogram, style);
	end_metric(json);
}

static bool otlp_message_alike(const struct gcpreload_header *a, const struct gcpreload_header *b)
{
	return a->state == b->state && a->mode == b->mode && strcmp(a->reason, b->reason) == 0;
}

static void write_gauge(struct json *json, const struct otlp_subject *subject, uint64_t value)
{
	pair_uint64(json, "timeUnixNano", subject->time);
	pair_uint64(json, "asInt", value);
	json_close(json, '}');
}

static uint64_t frozen_of(const struct gcpreload_header *h)
{
	return h->frozen_objects > 0 ? (uint64_t)h->frozen_objects : 0;
}

static uint64_t live_of(const struct gcpreload_header *h)
{
	return h->marks.live;
}

static uint64_t pending_of(const struct gcpreload_header *h)
{
	return h->marks.pending;
}

/* The sum over the living processes. */
static void write_sum_now(struct json *json, const struct otlp_subject *subject, unsigned row,
			  uint64_t value_of(const struct gcpreload_header *h))
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < subject->n_living; i++)
		sum += value_of(subject->living[i]);
	begin_metric(json, row, "gauge");
	begin_points(json);
	json_open(json, '{');
	write_gauge(json, subject, sum);
	end_metric(json);
}

/* Living processes by state, mode and the reason for it. */
static void write_processes(struct json *json, const struct otlp_subject *subject)
{
	size_t i, j;

	begin_metric(json, COUNTERS_process_state, "gauge");
	begin_points(json);
	for (i = 0; i < subject->n_living; i++) {
		const struct gcpreload_header *h = subject->living[i];
		const struct attribute attributes[] = {
			{ "gcpreload.state", gcpreload_state_name(h->state), 0 },
			{ "gcpreload.mode", gcpreload_mode_name(h->mode), 0 },
			{ "gcpreload.reason", h->reason, 0 },
		};
		uint64_t n = 0;

		for (j = 0; j < i && !otlp_message_alike(subject->living[j], h); j++)
			;
		if (j < i)
			continue;
		for (; j < subject->n_living; j++)
			n += otlp_message_alike(subject->living[j], h);
		json_open(json, '{');
		write_attributes(json, attributes, sizeof attributes / sizeof *attributes);
		write_gauge(json, subject, n);
	}
	end_metric(json);
}

/* ---- the message ---- */

void otlp_message_begin(struct json *json, FILE *out)
{
	json_start(json, out, false);
	json_open(json, '{');
	json_key(json, "resourceMetrics");
	json_open(json, '[');
}

bool otlp_message_add(struct json *json, const struct otlp_subject *subject,
		      const struct otlp_style *style)
{
	struct counters counted = counted_since(subject, style->delta_sums);
	bool sums, durations, counters;

	if (subject->over)
		return false;
	sums = each_point(NULL, subject, style->delta_sums, NULL, NULL);
	durations = each_point(NULL, subject, style->delta_histograms, NULL, NULL);
	counters = counted_anything(&counted);
	if (!sums && !durations && !counters && !subject->n_living)
		return false;
	json_open(json, '{');
	write_resource(json, subject, style);
	json_key(json, "scopeMetrics");
	json_open(json, '[');
	json_open(json, '{');
	json_key(json, "scope");
	json_open(json, '{');
	json_pair_string(json, "name", "gcpreload");
	json_pair_string(json, "version", GCPRELOAD_VERSION);
	json_close(json, '}');
	json_key(json, "metrics");
	json_open(json, '[');
	if (sums)
		write_sums(json, subject, style->delta_sums);
	if (durations)
		write_durations(json, subject, style);
	if (counters || !style->delta_sums)
		write_counters(json, subject, &counted, style->delta_sums);
	if (subject->n_living) {
		write_sum_now(json, subject, COUNTERS_frozen_objects, frozen_of);
		write_sum_now(json, subject, COUNTERS_live_objects, live_of);
		write_sum_now(json, subject, COUNTERS_pending_garbage, pending_of);
		write_processes(json, subject);
	}
	json_close(json, ']');
	json_close(json, '}');
	json_close(json, ']');
	json_close(json, '}');
	return true;
}

void otlp_message_end(struct json *json)
{
	json_close(json, ']');
	json_close(json, '}');
	json_finish(json);
}

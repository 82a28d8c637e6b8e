/* SPDX-License-Identifier: MIT */
#include "cli/counters.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { PS = COUNTERS_PS, REPORT = COUNTERS_REPORT, PAGE = COUNTERS_PAGE };

const struct counters_row counters_table[COUNTERS] = {
#define PROCESS(id, field, title, unit, json, where, prometheus, otlp, label, help)                \
	[COUNTERS_##id] = { "counter", title, unit, json, where, prometheus, otlp, label, help, 0 },
#define COMPUTED(id, title, unit, json, where, prometheus, otlp, help)                             \
	[COUNTERS_##id] = { "counter", title, unit, json, where, prometheus, otlp, "", help, 0 },
#define SERIES(id, field, title, unit, json, where, prometheus, otlp, help)                        \
	[COUNTERS_##                                                                               \
	    id] = { "counter",	title, unit, json, where,                                          \
		    prometheus, otlp,  "",   help, offsetof(struct gcpreload_series, field) },
#define HISTOGRAM(id, title, unit, json, where, prometheus, otlp, help)                            \
	[COUNTERS_##id] = { "histogram", title, unit, json, where, prometheus, otlp, "", help, 0 },
#define GAUGE(id, title, unit, json, where, prometheus, otlp, help)                                \
	[COUNTERS_##id] = { "gauge", title, unit, json, where, prometheus, otlp, "", help, 0 },
#include "ring/counters.def"
};

_Static_assert((int)COUNTERS_collections == (int)COUNTERS_OF_PROCESS, "order of the table");
_Static_assert((int)COUNTERS_duration == (int)COUNTERS_END_OF_SERIES, "order of the table");

bool counters_is_time(unsigned row)
{
	return strcmp(counters_table[row].unit, "s") == 0;
}

void counters_read(struct counters *counters, const struct gcpreload_header *h)
{
	unsigned i;

#define PROCESS(id, field, ...) counters->values[COUNTERS_##id] = h->field;
#include "ring/counters.def"
	counters->values[COUNTERS_events_lost] =
	    h->n_slots && h->head > h->n_slots ? h->head - h->n_slots : 0;
	/* Earlier versions wrote times that cannot be. */
	for (i = 0; i < COUNTERS_OF_PROCESS; i++)
		if (counters_is_time(i) && gcpreload_elapsed_wrapped(counters->values[i]))
			counters->values[i] = 0;
}

void counters_add(struct counters *to, const struct counters *from)
{
	unsigned i;

	for (i = 0; i < COUNTERS_OF_PROCESS; i++)
		to->values[i] += from->values[i];
}

double counters_value(const struct counters *counters, unsigned row)
{
	double value = (double)counters->values[row];

	return counters_is_time(row) ? value / 1e9 : value;
}

const char *counters_label(unsigned row, char *name, size_t size)
{
	const char *label = counters_table[row].label, *value = strchr(label, '=');

	snprintf(name, size, "%.*s", value ? (int)(value - label) : 0, label);
	return value ? value + 1 : "";
}

uint64_t counters_in_series(const struct gcpreload_series *series, unsigned row)
{
	uint64_t value;

	memcpy(&value, (const char *)series + counters_table[row].field, sizeof value);
	return value;
}

static void write_value(const struct counters *counters, unsigned row, struct json *json)
{
	if (!counters)
		json_null(json);
	else if (counters_is_time(row))
		json_double(json, counters_value(counters, row));
	else
		json_uint(json, counters->values[row]);
}

/* "a.b": opens the object a, unless the row before did; the next row closes it. */
void counters_json(const struct counters *counters, enum counters_where where, struct json *json)
{
	char object[64] = "";
	unsigned i;

	for (i = 0; i < COUNTERS_OF_PROCESS; i++) {
		const char *key = counters_table[i].json, *dot = strchr(key, '.');
		size_t length = dot ? (size_t)(dot - key) : 0;

		if (!(counters_table[i].where & where))
			continue;
		if (*object && (strlen(object) != length || strncmp(object, key, length) != 0)) {
			if (counters)
				json_close(json, '}');
			*object = '\0';
		}
		if (dot && !*object) {
			snprintf(object, sizeof object, "%.*s", (int)length, key);
			json_key(json, object);
			if (counters)
				json_open(json, '{');
			else
				json_null(json);
		}
		if (dot && !counters)
			continue;
		json_key(json, dot ? dot + 1 : key);
		write_value(counters, i, json);
	}
	if (*object && counters)
		json_close(json, '}');
}

void counters_json_series(const struct gcpreload_series *series, enum counters_where where,
			  struct json *json)
{
	unsigned i;

	for (i = COUNTERS_OF_PROCESS; i < COUNTERS_END_OF_SERIES; i++)
		if (counters_table[i].where & where)
			json_pair_uint(json, counters_table[i].json, counters_in_series(series, i));
}

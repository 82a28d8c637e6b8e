/* SPDX-License-Identifier: MIT */
/* The table of counters, ring/counters.def: names, units and help of all that is shown. */
#ifndef GCPRELOAD_CLI_COUNTERS_H
#define GCPRELOAD_CLI_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/json.h"
#include "ring/layout.h"

enum counters_id {
#define PROCESS(id, ...)   COUNTERS_##id,
#define COMPUTED(id, ...)  COUNTERS_##id,
#define SERIES(id, ...)	   COUNTERS_##id,
#define HISTOGRAM(id, ...) COUNTERS_##id,
#define GAUGE(id, ...)	   COUNTERS_##id,
#include "ring/counters.def"
	COUNTERS
};

/* The rows of processes are the first of all, those of series come after them. */
enum {
#define PROCESS(...)  +1
#define COMPUTED(...) +1
	COUNTERS_OF_PROCESS = 0
#include "ring/counters.def"
	,
#define SERIES(...) +1
	COUNTERS_END_OF_SERIES = COUNTERS_OF_PROCESS
#include "ring/counters.def"
};

/* The documents that have a row's JSON key. */
enum counters_where {
	COUNTERS_PS = 1,
	COUNTERS_REPORT = 2,
	COUNTERS_PAGE = 4,
};

struct counters_row {
	const char *type; /* Prometheus' */
	const char *title, *unit;
	const char *json;
	unsigned where; /* enum counters_where */
	const char *prometheus, *otlp;
	const char *label; /* "reason=busy"; "": none */
	const char *help;
	size_t field; /* of a series: where it is in struct gcpreload_series */
};

extern const struct counters_row counters_table[COUNTERS];

#define COUNTERS_KEY(id) (counters_table[COUNTERS_##id].json)

/* What a process counted: a number for each of its rows. */
struct counters {
	uint64_t values[COUNTERS_OF_PROCESS];
};

/* From a ring's header. In a file of totals events_lost is not known from the header. */
void counters_read(struct counters *counters, const struct gcpreload_header *h);
void counters_add(struct counters *to, const struct counters *from);

/* In the row's unit. */
double counters_value(const struct counters *counters, unsigned row);
bool counters_is_time(unsigned row);

/* The name of a row's label; returns its value. */
const char *counters_label(unsigned row, char *name, size_t size);

/* A row's number in a series. */
uint64_t counters_in_series(const struct gcpreload_series *series, unsigned row);

/* The keys of the process rows that a document has; NULL: with null as values. */
void counters_json(const struct counters *counters, enum counters_where where, struct json *json);

/* Those of a series. */
void counters_json_series(const struct gcpreload_series *series, enum counters_where where,
			  struct json *json);

#endif

/* SPDX-License-Identifier: MIT */
#include "cli/export/exemplars.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/follow.h"
#include "cli/memory.h"

#define OTLP_MOST 8 /* of a data point */

static void exemplars_append(struct exemplars *to, const struct gcpreload_hit *hits, size_t n)
{
	size_t i;

	if (!n)
		return;
	to->list = memory_need(realloc(to->list, (to->n + n) * sizeof *to->list));
	/* A trace that the application drops is found nowhere. */
	for (i = 0; i < n; i++)
		if (hits[i].sampled)
			to->list[to->n++] = hits[i];
}

void exemplars_read(struct exemplars *exemplars, const struct gcpreload_reader *reader)
{
	struct gcpreload_hit hits[GCPRELOAD_HITS_KEPT];
	int n = gcpreload_reader_hits(reader, hits);

	if (n < 0)
		return;
	exemplars_free(exemplars);
	exemplars_append(exemplars, hits, (size_t)n);
}

void exemplars_add(struct exemplars *to, const struct exemplars *from)
{
	exemplars_append(to, from->list, from->n);
}

void exemplars_free(struct exemplars *exemplars)
{
	free(exemplars->list);
	*exemplars = (struct exemplars){ NULL, 0 };
}

static bool exemplars_is_of(const struct gcpreload_hit *hit, const struct exemplars_of *of)
{
	return hit->period == of->period && hit->generation == of->generation &&
	       hit->cause == of->cause;
}

const struct gcpreload_hit *exemplars_newest(const struct exemplars *exemplars,
					     const struct exemplars_of *of, double low, double high)
{
	const struct gcpreload_hit *newest = NULL, *hit;
	double seconds;
	size_t i;

	for (i = 0; i < exemplars->n; i++) {
		hit = &exemplars->list[i];
		seconds = (double)hit->duration_ns / 1e9;
		if (exemplars_is_of(hit, of) && seconds > low && seconds <= high &&
		    (!newest || hit->start_ns > newest->start_ns))
			newest = hit;
	}
	return newest;
}

static uint64_t exemplars_end(const struct gcpreload_hit *hit)
{
	return hit->start_ns + hit->duration_ns + (uint64_t)follow_to_realtime();
}

void exemplars_openmetrics(FILE *out, const struct gcpreload_hit *hit)
{
	char trace_id[GCPRELOAD_TRACE_ID_TEXT], span_id[GCPRELOAD_SPAN_ID_TEXT];
	uint64_t end;

	if (!hit)
		return;
	gcpreload_span_text(&hit->span, trace_id, span_id);
	end = exemplars_end(hit);
	fprintf(out, " # {trace_id=\"%s\",span_id=\"%s\"} %.9g %" PRIu64 ".%03u", trace_id, span_id,
		(double)hit->duration_ns / 1e9, end / 1000000000u,
		(unsigned)(end % 1000000000u / 1000000u));
}

static void exemplars_otlp_one(struct json *json, const struct gcpreload_hit *hit)
{
	char trace_id[GCPRELOAD_TRACE_ID_TEXT], span_id[GCPRELOAD_SPAN_ID_TEXT], time[24];

	gcpreload_span_text(&hit->span, trace_id, span_id);
	snprintf(time, sizeof time, "%" PRIu64, exemplars_end(hit));
	json_open(json, '{');
	json_pair_string(json, "timeUnixNano", time);
	json_pair_double(json, "asDouble", (double)hit->duration_ns / 1e9);
	json_pair_string(json, "traceId", trace_id);
	json_pair_string(json, "spanId", span_id);
	json_close(json, '}');
}

/* The list of one process is in the order of time, and several are one after the other: each
 * process's newest would do as well, so it is read from its end. */
void exemplars_otlp(struct json *json, const struct exemplars *exemplars,
		    const struct exemplars_of *of, uint64_t since_ns)
{
	size_t i = exemplars->n, told = 0;

	while (i-- > 0 && told < OTLP_MOST) {
		const struct gcpreload_hit *hit = &exemplars->list[i];

		if (!exemplars_is_of(hit, of) || exemplars_end(hit) <= since_ns)
			continue;
		if (!told++) {
			json_key(json, "exemplars");
			json_open(json, '[');
		}
		exemplars_otlp_one(json, hit);
	}
	if (told)
		json_close(json, ']');
}

/* SPDX-License-Identifier: MIT */
#include "cli/fair.h"

#include <stdio.h>

#include "cli/text.h"

/* Connections that are kept open say nothing of the load: so many a second are one each request. */
#define EACH_REQUEST 1

void fair_side_of(struct fair_side *side, const char *name, const struct snapshot_period *period,
		  bool steady)
{
	const struct snapshot_steady *s = &period->steady;

	*side = (struct fair_side){
		.name = name,
		.seconds = (double)(steady ? s->length_ns : period->length_ns) / 1e9,
		.cpu_seconds = (double)(steady ? s->cpu_ns : period->cpu_ns) / 1e9,
		.connections = (double)(steady ? s->accepted : period->accepted),
		.collections = (double)(steady ? s->collections : period->in_requests.collections),
		.in_requests =
		    (double)(steady ? s->in_request_ns : period->in_requests.sum_ns) / 1e9,
	};
	if (period->load_unknown)
		side->cpu_seconds = side->connections = -1;
	else if (!period->accepts)
		side->connections = -1;
}

bool fair_leaves_out(double a_steady_seconds, double b_steady_seconds)
{
	return a_steady_seconds >= FAIR_SECONDS && b_steady_seconds >= FAIR_SECONDS;
}

bool fair_spans(double a_seconds, double b_seconds)
{
	return a_seconds < b_seconds * FAIR_SPAN && b_seconds < a_seconds * FAIR_SPAN;
}

/* Of one side alone. */
static bool fair_too_little(char *out, size_t size, const struct fair_side *side)
{
	char text[64], long_text[64];

	if (side->seconds < FAIR_SECONDS)
		snprintf(out, size, "only %s %s, and less than %d s is too short",
			 text_duration(text, sizeof text, side->seconds), side->name, FAIR_SECONDS);
	else if (side->cpu_seconds < 0)
		snprintf(out, size,
			 "the load %s is not known: the library was of an earlier version",
			 side->name);
	else if (side->cpu_seconds < FAIR_NO_LOAD * side->seconds)
		snprintf(out, size, "no load %s: %s of processor time in %s", side->name,
			 text_duration(text, sizeof text, side->cpu_seconds),
			 text_duration(long_text, sizeof long_text, side->seconds));
	else
		return false;
	return true;
}

bool fair_loads_differ(double a, double b)
{
	return a > FAIR_LOAD * b || b > FAIR_LOAD * a;
}

char *fair_why_not(char *out, size_t size, const struct fair_side *a, const struct fair_side *b)
{
	double a_rate, b_rate;

	*out = '\0';
	if (fair_too_little(out, size, a) || fair_too_little(out, size, b))
		return out;
	a_rate = a->connections / a->seconds;
	b_rate = b->connections / b->seconds;
	if (a->connections >= 0 && b->connections >= 0 &&
	    (a_rate >= EACH_REQUEST || b_rate >= EACH_REQUEST) &&
	    fair_loads_differ(a_rate, b_rate)) {
		snprintf(out, size, "load differs: %.3g connections a second %s, %.3g %s", a_rate,
			 a->name, b_rate, b->name);
		return out;
	}
	a_rate = a->cpu_seconds / a->seconds;
	b_rate = b->cpu_seconds / b->seconds;
	if (fair_loads_differ(a_rate, b_rate))
		snprintf(out, size, "load differs: %.2g of a processor %s, %.2g %s", a_rate,
			 a->name, b_rate, b->name);
	else if (a->collections < FAIR_COLLECTIONS && b->collections < FAIR_COLLECTIONS)
		snprintf(out, size, "fewer than %d collections in requests on both sides",
			 FAIR_COLLECTIONS);
	return out;
}

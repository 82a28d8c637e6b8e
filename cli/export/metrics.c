/* SPDX-License-Identifier: MIT */
#include "cli/export/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/memory.h"
#include "cli/text.h"
#include "ring/histogram.h"

#define OCTAVE (1 << GCPRELOAD_HISTOGRAM_SCALE)

/* Upper bounds of the classic buckets as powers of two of a second, 15 us to 4 s: bounds of the
 * ring's own buckets, so that nothing is guessed. */
static const int bounds[] = {
	-16, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0, 2
};

#define N_BOUNDS (sizeof bounds / sizeof *bounds)

/* One line's labels: a service, or a process of it. */
struct subject {
	const struct gather_service *service;
	struct gather_process *process; /* NULL: all of the service */
	gather_series *series;
};

struct writer {
	FILE *out;
	const struct metrics_style *style;
	struct subject *subjects;
	size_t n_subjects;
	const char *prefix; /* of the collector's own metrics */
	bool first_label;
};

/* ---- the format ---- */

static void family(struct writer *w, const char *name, const char *type, const char *unit,
		   const char *help)
{
	/* Prometheus' own format has the suffix in the family's name, OpenMetrics has not. */
	const char *suffix = !w->style->openmetrics && strcmp(type, "counter") == 0 ? "_total" : "";

	fprintf(w->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix, type);
	if (w->style->openmetrics && unit)
		fprintf(w->out, "# UNIT %s %s\n", name, unit);
}

/* A value of a label: what is not UTF-8 becomes U+FFFD, a control character a blank. */
static void label(struct writer *w, const char *name, const char *value)
{
	size_t left = strlen(value), n;
	uint32_t character;

	fprintf(w->out, "%s%s=\"", w->first_label ? "{" : ",", name);
	w->first_label = false;
	for (; left; value += n, left -= n) {
		n = utf8_next(value, left, &character);
		if (character == UTF8_INVALID)
			fputs("\xef\xbf\xbd", w->out);
		else if (*value == '\n')
			fputs("\\n", w->out);
		else if (*value == '"' || *value == '\\')
			fprintf(w->out, "\\%c", *value);
		else if (character < ' ' || character == 0x7f)
			fputc(' ', w->out);
		else
			fwrite(value, 1, n, w->out);
	}
	fputc('"', w->out);
}

static void begin(struct writer *w, const char *name, const struct subject *subject)
{
	char pid[16];

	fputs(name, w->out);
	w->first_label = true;
	label(w, "service", subject->service->name);
	if (subject->process) {
		snprintf(pid, sizeof pid, "%d", subject->process->reader.header.pid);
		label(w, "pid", pid);
	}
}

static void end_uint(struct writer *w, uint64_t value)
{
	fprintf(w->out, "} %" PRIu64 "\n", value);
}

static void end_double(struct writer *w, double value)
{
	fprintf(w->out, "} %.15g\n", value);
}

/* ---- collections ---- */

static void series_labels(struct writer *w, unsigned period, unsigned generation, unsigned cause)
{
	char text[8];

	snprintf(text, sizeof text, "%u", generation);
	label(w, "generation", text);
	if (w->style->compat)
		return;
	label(w, "cause", gcpreload_cause_name(cause));
	label(w, "period", gcpreload_period_name(period));
}

typedef void write_series(struct writer *w, const struct subject *subject, unsigned period,
			  unsigned generation, unsigned cause,
			  const struct gcpreload_series *series);

/* Calls write for every series that counts anything; in compat for each generation's sum. */
static void each_series(struct writer *w, write_series *write)
{
	static struct gcpreload_series sum;
	unsigned p, g, c;
	size_t i;

	for (i = 0; i < w->n_subjects; i++)
		for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
			memset(&sum, 0, sizeof sum);
			for (p = 0; p < GCPRELOAD_PERIODS; p++)
				for (c = 0; c < GCPRELOAD_CAUSES; c++) {
					struct gcpreload_series *one =
					    &(*w->subjects[i].series)[p][g][c];

					if (w->style->compat)
						gcpreload_series_merge(&sum, one);
					else if (one->collections)
						write(w, &w->subjects[i], p, g, c, one);
				}
			if (w->style->compat)
				write(w, &w->subjects[i], 0, g, 0, &sum);
		}
}

#define COUNTER(field, suffix)                                                                     \
	static void write_##field(struct writer *w, const struct subject *subject,                 \
				  unsigned period, unsigned generation, unsigned cause,            \
				  const struct gcpreload_series *series)                           \
	{                                                                                          \
		char name[64];                                                                     \
                                                                                                   \
		snprintf(name, sizeof name, "%s_" suffix "_total", w->prefix);                     \
		begin(w, name, subject);                                                           \
		series_labels(w, period, generation, cause);                                       \
		end_uint(w, series->field);                                                        \
	}

COUNTER(collections, "collections")
COUNTER(collected, "objects_collected")
COUNTER(uncollectable, "objects_uncollectable")

static uint64_t up_to(const struct gcpreload_series *series, int octave)
{
	int last = octave * OCTAVE - GCPRELOAD_HISTOGRAM_FIRST, j;
	uint64_t n = series->below;

	for (j = 0; j < last && j < GCPRELOAD_BUCKETS; j++)
		n += series->buckets[j];
	return n;
}

static void write_duration(struct writer *w, const struct subject *subject, unsigned period,
			   unsigned generation, unsigned cause,
			   const struct gcpreload_series *series)
{
	uint64_t all = series->below + series->above;
	char name[64], le[32];
	size_t i;
	int j;

	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		all += series->buckets[j];
	snprintf(name, sizeof name, "%s_duration_seconds_bucket", w->prefix);
	for (i = 0; i <= N_BOUNDS; i++) {
		begin(w, name, subject);
		series_labels(w, period, generation, cause);
		if (i < N_BOUNDS)
			snprintf(le, sizeof le, "%.15g",
				 bounds[i] < 0 ? 1. / (1 << -bounds[i]) : 1. * (1 << bounds[i]));
		label(w, "le", i < N_BOUNDS ? le : "+Inf");
		end_uint(w, i < N_BOUNDS ? up_to(series, bounds[i]) : all);
	}
	snprintf(name, sizeof name, "%s_duration_seconds_sum", w->prefix);
	begin(w, name, subject);
	series_labels(w, period, generation, cause);
	end_double(w, (double)series->sum_ns / 1e9);
	snprintf(name, sizeof name, "%s_duration_seconds_count", w->prefix);
	begin(w, name, subject);
	series_labels(w, period, generation, cause);
	end_uint(w, all);
}

static void collections(struct writer *w)
{
	char name[64];

	snprintf(name, sizeof name, "%s_collections", w->prefix);
	family(w, name, "counter", NULL, "Collections of the cyclic garbage collector.");
	each_series(w, write_collections);
	snprintf(name, sizeof name, "%s_objects_collected", w->prefix);
	family(w, name, "counter", NULL, "Objects that collections freed.");
	each_series(w, write_collected);
	snprintf(name, sizeof name, "%s_objects_uncollectable", w->prefix);
	family(w, name, "counter", NULL, "Objects that collections found and could not free.");
	each_series(w, write_uncollectable);
	snprintf(name, sizeof name, "%s_duration_seconds", w->prefix);
	family(w, name, "histogram", "seconds", "How long collections took.");
	each_series(w, write_duration);
}

/* ---- processes ---- */

/* The living processes of a subject, summed by value. */
static double sum(struct writer *w, struct gather *gather, const struct subject *subject,
		  double (*value)(const struct gather_process *))
{
	double total = 0;
	size_t i;

	(void)w;
	for (i = 0; i < gather->n_processes; i++) {
		struct gather_process *one = &gather->processes[i];

		if (subject->process ? one == subject->process
				     : one->alive && gather_belongs(subject->service, one))
			total += value(one);
	}
	return total;
}

static double frozen(const struct gather_process *process)
{
	int64_t n = process->reader.header.frozen_objects;

	return n > 0 ? (double)n : 0;
}

static double is_tuned(const struct gather_process *process)
{
	return process->reader.header.state == GCPRELOAD_STATE_READY;
}

static double is_not_tuned(const struct gather_process *process)
{
	return !is_tuned(process);
}

static double lost(const struct gather_process *process)
{
	return (double)gather_lost(process);
}

static double guard_trips(const struct gather_process *process)
{
	return (double)process->reader.header.idle.guard_trips;
}

static void gauge(struct writer *w, struct gather *gather, const char *name, const char *help,
		  double (*value)(const struct gather_process *))
{
	size_t i;

	family(w, name, "gauge", NULL, help);
	for (i = 0; i < w->n_subjects; i++) {
		begin(w, name, &w->subjects[i]);
		end_double(w, sum(w, gather, &w->subjects[i], value));
	}
}

/* Of the ended ones, too. */
static void counter(struct writer *w, struct gather *gather, const char *name, const char *help,
		    double (*value)(const struct gather_process *), bool of_guard)
{
	char total[80];
	size_t i, j;

	family(w, name, "counter", NULL, help);
	snprintf(total, sizeof total, "%s_total", name);
	for (i = 0; i < w->n_subjects; i++) {
		const struct subject *subject = &w->subjects[i];
		const struct gather_service *service = subject->service;
		double n = subject->process ? value(subject->process) : 0;

		if (!subject->process) {
			n = (double)(of_guard ? service->gone_guard_trips : service->gone_lost);
			for (j = 0; j < gather->n_processes; j++)
				if (gather_belongs(service, &gather->processes[j]))
					n += value(&gather->processes[j]);
		}
		begin(w, total, subject);
		end_double(w, n);
	}
}

/* Same labels, same line: processes are counted by state and reason. */
static void states(struct writer *w, struct gather *gather)
{
	size_t i, j, n;

	family(w, "gcpreload_process_state", "gauge", NULL,
	       "Living processes by state and the reason for it.");
	for (i = 0; i < gather->n_processes; i++) {
		const struct gcpreload_header *h = &gather->processes[i].reader.header, *other;
		struct subject subject = { .process = NULL };
		bool first = true;

		for (j = n = 0; j < gather->n_processes; j++) {
			other = &gather->processes[j].reader.header;
			if (!gather->processes[j].alive || other->state != h->state ||
			    strcmp(other->reason, h->reason) != 0 ||
			    strcmp(other->service_name, h->service_name) != 0)
				continue;
			first = first && (n || j >= i);
			n++;
		}
		if (!gather->processes[i].alive || !first)
			continue;
		for (j = 0; j < gather->n_services; j++)
			if (gather_belongs(gather->services[j], &gather->processes[i]))
				subject.service = gather->services[j];
		begin(w, "gcpreload_process_state", &subject);
		label(w, "state", gcpreload_state_name(h->state));
		label(w, "reason", h->reason);
		label(w, "mode", gcpreload_mode_name(h->mode));
		end_uint(w, n);
	}
}

static void time_ratio(struct writer *w, struct gather *gather)
{
	struct timespec ts;
	double now, since, spent;
	unsigned p, g, c;
	size_t i, j;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
	family(w, "gcpreload_gc_time_ratio", "gauge", NULL,
	       "Share of the lives of the living processes that was spent in collections.");
	for (i = 0; i < w->n_subjects; i++) {
		gather_series *series = need(calloc(1, sizeof *series));

		since = spent = 0;
		for (j = 0; j < gather->n_processes; j++) {
			struct gather_process *one = &gather->processes[j];

			if (!one->alive ||
			    (w->subjects[i].process ? one != w->subjects[i].process
						    : !gather_belongs(w->subjects[i].service, one)))
				continue;
			gather_add(*series, one);
			since += now - (double)one->reader.header.attached_ns / 1e9;
		}
		for (p = 0; p < GCPRELOAD_PERIODS; p++)
			for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
				for (c = 0; c < GCPRELOAD_CAUSES; c++)
					spent += (double)(*series)[p][g][c].sum_ns / 1e9;
		begin(w, "gcpreload_gc_time_ratio", &w->subjects[i]);
		end_double(w, since > 0 ? spent / since : 0);
		free(series);
	}
}

static void build_info(struct writer *w)
{
	family(w, "gcpreload_build_info", "gauge", NULL, "1, with the version of the exporter.");
	fputs("gcpreload_build_info", w->out);
	w->first_label = true;
	label(w, "version", GCPRELOAD_VERSION);
	end_uint(w, 1);
}

static void add_subject(struct writer *w, const struct gather_service *service,
			struct gather_process *process)
{
	struct subject *subject;

	w->subjects = need(realloc(w->subjects, (w->n_subjects + 1) * sizeof *w->subjects));
	subject = &w->subjects[w->n_subjects++];
	*subject = (struct subject){ service, process, need(calloc(1, sizeof *subject->series)) };
	if (process)
		gather_add(*subject->series, process);
}

static void choose_subjects(struct writer *w, struct gather *gather)
{
	struct gather_service *service;
	size_t i, j;

	for (i = 0; i < gather->n_services; i++) {
		service = gather->services[i];
		if (!w->style->per_process) {
			add_subject(w, service, NULL);
			memcpy(w->subjects[i].series, service->gone, sizeof service->gone);
		}
		for (j = 0; j < gather->n_processes; j++) {
			if (!gather_belongs(service, &gather->processes[j]))
				continue;
			if (!w->style->per_process)
				gather_add(*w->subjects[i].series, &gather->processes[j]);
			else if (gather->processes[j].alive)
				add_subject(w, service, &gather->processes[j]);
		}
	}
}

void metrics_write(FILE *out, struct gather *gather, const struct metrics_style *style)
{
	struct writer w = { .out = out,
			    .style = style,
			    .prefix = style->compat ? "python_gc" : "gcpreload_gc" };
	size_t i;

	choose_subjects(&w, gather);
	build_info(&w);
	collections(&w);
	time_ratio(&w, gather);
	gauge(&w, gather, "gcpreload_frozen_objects",
	      "Objects that were frozen, counted right after the freeze.", frozen);
	gauge(&w, gather, "gcpreload_tuned_processes", "Living processes that are tuned.",
	      is_tuned);
	gauge(&w, gather, "gcpreload_untuned_processes", "Living processes that are not tuned.",
	      is_not_tuned);
	states(&w, gather);
	counter(&w, gather, "gcpreload_events_lost",
		"Events written over in the ring; the counters here have them all the same.", lost,
		false);
	counter(&w, gather, "gcpreload_guard_trips",
		"How often the guard of mode idle made a full collection.", guard_trips, true);
	if (style->openmetrics)
		fputs("# EOF\n", out);
	for (i = 0; i < w.n_subjects; i++)
		free(w.subjects[i].series);
	free(w.subjects);
}

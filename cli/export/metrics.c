/* SPDX-License-Identifier: MIT */
#include "cli/export/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/export/metrics_living.h"
#include "cli/memory.h"
#include "cli/snapshot.h"
#include "cli/text.h"
#include "ring/histogram.h"

#define OCTAVE (1 << GCPRELOAD_HISTOGRAM_SCALE)

/* Upper bounds of the classic buckets as powers of two of a second, 15 us to 4 s: bounds of the
 * ring's own buckets, so that nothing is guessed. */
static const int bounds[] = {
	-16, -14, -13, -12, -11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0, 2
};

#define N_BOUNDS (sizeof bounds / sizeof *bounds)

/* One line's labels and values: of a service, or a process of it. */
struct subject {
	const struct gather_service *service;
	const struct gather_process *process; /* NULL: all of the service */
	const struct counts *counts;
	struct counts sum;
	struct exemplars exemplars; /* where the format has them */
	/* Of the living. */
	double lives, spent; /* seconds */
	double frozen, live, pending, tuned, untuned;
	/* Of the ended ones, too. */
	struct counters counted;
	bool load_known; /* of one at least: earlier versions of the library did not count it */
};

struct writer {
	struct metrics_writer to;
	struct subject *subjects;
	size_t n_subjects, room;
};

static void begin_subject(struct writer *w, const char *name, const struct subject *subject)
{
	metrics_begin(&w->to, name, subject->service->name,
		      subject->process ? &subject->process->reader.header : NULL);
}

/* ---- collections ---- */

/* The newest exemplar of a bucket. */
static void bucket_end(struct writer *w, uint64_t value, const struct gcpreload_hit *hit)
{
	fprintf(w->to.out, "} %" PRIu64, value);
	exemplars_openmetrics(w->to.out, hit);
	fputc('\n', w->to.out);
}

static void series_labels(struct writer *w, unsigned period, unsigned generation, unsigned cause)
{
	char text[8];

	snprintf(text, sizeof text, "%u", generation);
	metrics_label(&w->to, "generation", text);
	if (w->to.style->compat)
		return;
	metrics_label(&w->to, "cause", gcpreload_cause_name(cause));
	metrics_label(&w->to, "period", gcpreload_period_name(period));
}

typedef void write_series(struct writer *w, unsigned row, const struct subject *subject,
			  unsigned period, unsigned generation, unsigned cause,
			  const struct gcpreload_series *series);

static void each_of(struct writer *w, unsigned row, const struct subject *subject,
		    write_series *write)
{
	struct gcpreload_series sums[GCPRELOAD_GENERATIONS] = { 0 }, one;
	unsigned place, g;
	size_t at = 0;

	while ((at = counts_next(subject->counts, at, &place, &one))) {
		g = place / GCPRELOAD_CAUSES % GCPRELOAD_GENERATIONS;
		if (w->to.style->compat)
			gcpreload_series_merge(&sums[g], &one);
		else
			write(w, row, subject, place / GCPRELOAD_CAUSES / GCPRELOAD_GENERATIONS, g,
			      place % GCPRELOAD_CAUSES, &one);
	}
	for (g = 0; w->to.style->compat && g < GCPRELOAD_GENERATIONS; g++)
		write(w, row, subject, 0, g, 0, &sums[g]);
}

/* Calls write for every series that counts anything; in compat for each generation's sum. */
static void each_series(struct writer *w, unsigned row, write_series *write)
{
	size_t i;

	metrics_family(&w->to, row);
	for (i = 0; i < w->n_subjects; i++)
		each_of(w, row, &w->subjects[i], write);
}

static void metrics_write_counter(struct writer *w, unsigned row, const struct subject *subject,
				  unsigned period, unsigned generation, unsigned cause,
				  const struct gcpreload_series *series)
{
	char name[METRICS_LONGEST_NAME];

	begin_subject(w, metrics_name(name, &w->to, row, "_total"), subject);
	series_labels(w, period, generation, cause);
	metrics_uint(&w->to, counters_in_series(series, row));
}

static uint64_t up_to(const struct gcpreload_series *series, int octave)
{
	int last = octave * OCTAVE - GCPRELOAD_HISTOGRAM_FIRST, j;
	uint64_t n = series->below;

	for (j = 0; j < last && j < GCPRELOAD_BUCKETS; j++)
		n += series->buckets[j];
	return n;
}

static void write_duration(struct writer *w, unsigned row, const struct subject *subject,
			   unsigned period, unsigned generation, unsigned cause,
			   const struct gcpreload_series *series)
{
	const struct exemplars_of of = { period, generation, cause };
	uint64_t all = series->below + series->above;
	char name[METRICS_LONGEST_NAME], le[32];
	double low = 0, bound = 0;
	size_t i;
	int j;

	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		all += series->buckets[j];
	metrics_name(name, &w->to, row, "_bucket");
	for (i = 0; i <= N_BOUNDS; i++) {
		begin_subject(w, name, subject);
		series_labels(w, period, generation, cause);
		low = bound;
		bound = i == N_BOUNDS	? HUGE_VAL
			: bounds[i] < 0 ? 1. / (1 << -bounds[i])
					: 1. * (1 << bounds[i]);
		snprintf(le, sizeof le, "%.15g", bound);
		metrics_label(&w->to, "le", i < N_BOUNDS ? le : "+Inf");
		bucket_end(w, i < N_BOUNDS ? up_to(series, bounds[i]) : all,
			   exemplars_newest(&subject->exemplars, &of, low, bound));
	}
	begin_subject(w, metrics_name(name, &w->to, row, "_sum"), subject);
	series_labels(w, period, generation, cause);
	metrics_double(&w->to, (double)series->sum_ns / 1e9);
	begin_subject(w, metrics_name(name, &w->to, row, "_count"), subject);
	series_labels(w, period, generation, cause);
	metrics_uint(&w->to, all);
}

static void metrics_collections(struct writer *w)
{
	unsigned row;

	for (row = COUNTERS_OF_PROCESS; row < COUNTERS_END_OF_SERIES; row++)
		each_series(w, row, metrics_write_counter);
	each_series(w, COUNTERS_duration, write_duration);
}

/* ---- processes ---- */

/* Since it is ready: how long, and how much of it in collections; seconds. */
static void metrics_add_served(struct subject *subject, const struct gather_process *process)
{
	const struct gcpreload_header *h = &process->reader.header;
	struct gcpreload_series series;
	unsigned place;
	size_t at = 0;
	int p;

	for (p = GCPRELOAD_PERIOD_BASELINE; p < GCPRELOAD_PERIODS; p++)
		if (!gcpreload_elapsed_wrapped(h->period_spent_ns[p]))
			subject->lives += (double)h->period_spent_ns[p] / 1e9;
	subject->lives += (double)gcpreload_elapsed(h->period_since_ns, metrics_now()) / 1e9;
	while ((at = counts_next(&process->counts, at, &place, &series)))
		if (place / GCPRELOAD_CAUSES / GCPRELOAD_GENERATIONS != GCPRELOAD_PERIOD_STARTUP)
			subject->spent += (double)series.sum_ns / 1e9;
}

static void metrics_add_process(const struct writer *w, struct subject *subject,
				const struct gather_process *process)
{
	const struct gcpreload_header *h = &process->reader.header;
	struct counters counters;

	counters_read(&counters, h);
	counters_add(&subject->counted, &counters);
	if (w->to.style->openmetrics)
		exemplars_add(&subject->exemplars, &process->exemplars);
	subject->load_known = subject->load_known || h->load.as_of_ns;
	if (!process->alive)
		return;
	subject->frozen += h->frozen_objects > 0 ? (double)h->frozen_objects : 0;
	subject->live += (double)h->marks.live;
	subject->pending += (double)h->marks.pending;
	if (!metrics_serves(h))
		return;
	metrics_add_served(subject, process);
	if (h->state == GCPRELOAD_STATE_READY)
		subject->tuned++;
	else
		subject->untuned++;
}

static struct subject *add_subject(struct writer *w, const struct gather_service *service)
{
	if (w->n_subjects == w->room) {
		w->room = w->room ? 2 * w->room : 16;
		w->subjects = memory_need(realloc(w->subjects, w->room * sizeof *w->subjects));
	}
	w->subjects[w->n_subjects] = (struct subject){ .service = service };
	return &w->subjects[w->n_subjects++];
}

static void add_service(struct writer *w, struct gather *gather, struct gather_service *service)
{
	struct subject *subject = add_subject(w, service);
	gather_series *sum = memory_need(malloc(sizeof *sum));
	size_t i;

	memcpy(*sum, service->gone, sizeof service->gone);
	subject->counted = service->gone_counters;
	for (i = 0; i < gather->n_processes; i++)
		if (gather_belongs(service, &gather->processes[i])) {
			gather_add(*sum, &gather->processes[i]);
			metrics_add_process(w, subject, &gather->processes[i]);
		}
	counts_take(&subject->sum, *sum);
	free(sum);
}

static void add_processes(struct writer *w, struct gather *gather, struct gather_service *service)
{
	struct subject *subject;
	size_t i;

	for (i = 0; i < gather->n_processes; i++) {
		struct gather_process *process = &gather->processes[i];

		if (!process->alive || !gather_belongs(service, process))
			continue;
		subject = add_subject(w, service);
		subject->process = process;
		metrics_add_process(w, subject, process);
	}
}

static void choose_subjects(struct writer *w, struct gather *gather)
{
	size_t i;

	for (i = 0; i < gather->n_services; i++)
		(w->to.style->per_process ? add_processes : add_service)(w, gather,
									 gather->services[i]);
	for (i = 0; i < w->n_subjects; i++) /* now that they do not move any more */
		w->subjects[i].counts =
		    w->subjects[i].process ? &w->subjects[i].process->counts : &w->subjects[i].sum;
}

/* What is not known is not 0. */
static bool counter_is_known(const struct subject *subject, unsigned row)
{
	bool of_load = text_begins(counters_table[row].label, "period=");

	return !of_load || subject->load_known || subject->counted.values[row];
}

/* Rows of one metric, which a label tells apart, stand together. */
static void process_counters(struct writer *w)
{
	const char *before = "";
	char name[METRICS_LONGEST_NAME], label[16];
	unsigned row;
	size_t i;

	for (row = 0; row < COUNTERS_OF_PROCESS; row++) {
		const struct counters_row *about = &counters_table[row];
		const char *value = counters_label(row, label, sizeof label);

		if (!*about->prometheus)
			continue;
		if (strcmp(before, about->prometheus) != 0)
			metrics_family(&w->to, row);
		before = about->prometheus;
		for (i = 0; i < w->n_subjects; i++) {
			if (!counter_is_known(&w->subjects[i], row))
				continue;
			begin_subject(w, metrics_name(name, &w->to, row, "_total"),
				      &w->subjects[i]);
			if (*about->label)
				metrics_label(&w->to, label, value);
			metrics_double(&w->to, counters_value(&w->subjects[i].counted, row));
		}
	}
}

static void metrics_gauge(struct writer *w, unsigned row, size_t offset)
{
	size_t i;

	metrics_family(&w->to, row);
	for (i = 0; i < w->n_subjects; i++) {
		begin_subject(w, counters_table[row].prometheus, &w->subjects[i]);
		metrics_double(&w->to, *(const double *)((const char *)&w->subjects[i] + offset));
	}
}

static void time_ratio(struct writer *w)
{
	size_t i;

	metrics_family(&w->to, COUNTERS_gc_time_share);
	for (i = 0; i < w->n_subjects; i++) {
		const struct subject *subject = &w->subjects[i];

		begin_subject(w, counters_table[COUNTERS_gc_time_share].prometheus, subject);
		metrics_double(&w->to, subject->lives > 0 ? subject->spent / subject->lives : 0);
	}
}

static void metrics_of_exporter(struct writer *w, unsigned row, double value)
{
	metrics_family(&w->to, row);
	fprintf(w->to.out, "%s %.15g\n", counters_table[row].prometheus, value);
}

static void exporter_itself(struct writer *w, const struct gather_seen *seen)
{
	metrics_of_exporter(w, COUNTERS_exporter_rings, (double)seen->rings);
	metrics_of_exporter(w, COUNTERS_exporter_unreadable_rings, (double)seen->unreadable);
	metrics_of_exporter(w, COUNTERS_exporter_unreadable_directories,
			    (double)seen->trouble.directories);
	metrics_of_exporter(w, COUNTERS_exporter_last_read, (double)seen->read_ns / 1e9);
}

static void build_info(struct writer *w)
{
	metrics_family(&w->to, COUNTERS_build_info);
	fputs(counters_table[COUNTERS_build_info].prometheus, w->to.out);
	w->to.first_label = true;
	metrics_label(&w->to, "version", GCPRELOAD_VERSION);
	metrics_uint(&w->to, 1);
}

void metrics_write(FILE *out, struct gather *gather, const struct metrics_style *style)
{
	struct writer w = { .to = { .out = out, .style = style } };
	size_t i;

	choose_subjects(&w, gather);
	build_info(&w);
	exporter_itself(&w, &gather->seen);
	metrics_versions(&w.to, gather);
	metrics_collections(&w);
	time_ratio(&w);
	metrics_shares(&w.to, gather);
	metrics_gauge(&w, COUNTERS_frozen_objects, offsetof(struct subject, frozen));
	metrics_gauge(&w, COUNTERS_live_objects, offsetof(struct subject, live));
	metrics_gauge(&w, COUNTERS_pending_garbage, offsetof(struct subject, pending));
	metrics_gauge(&w, COUNTERS_tuned_processes, offsetof(struct subject, tuned));
	metrics_gauge(&w, COUNTERS_untuned_processes, offsetof(struct subject, untuned));
	metrics_states(&w.to, gather);
	process_counters(&w);
	if (style->openmetrics)
		fputs("# EOF\n", out);
	for (i = 0; i < w.n_subjects; i++) {
		counts_free(&w.subjects[i].sum);
		exemplars_free(&w.subjects[i].exemplars);
	}
	free(w.subjects);
}

/* SPDX-License-Identifier: MIT */
#include "cli/export/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/containers.h"
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
	FILE *out;
	const struct metrics_style *style;
	struct subject *subjects;
	size_t n_subjects, room;
	bool first_label;
};

/* ---- the format ---- */

/* The longest is gcpreload_gc_objects_uncollectable_total. */
#define LONGEST_NAME 80

/* A row's name, with what comes behind it in a line. */
static const char *name_of(char name[LONGEST_NAME], const struct writer *w, unsigned row,
			   const char *suffix)
{
	static const char own[] = "gcpreload_gc_";
	const char *begin = "", *rest = counters_table[row].prometheus;

	if (w->style->compat && row != COUNTERS_gc_time_share &&
	    strncmp(rest, own, strlen(own)) == 0) {
		begin = "python_gc_";
		rest += strlen(own);
	}
	snprintf(name, LONGEST_NAME, "%s%s%s", begin, rest, suffix);
	return name;
}

static bool is_counter(unsigned row)
{
	return strcmp(counters_table[row].type, "counter") == 0;
}

static void metrics_family(struct writer *w, unsigned row)
{
	const struct counters_row *about = &counters_table[row];
	char name[LONGEST_NAME];

	/* Prometheus' own format has the suffix in the family's name, OpenMetrics has not. */
	name_of(name, w, row, !w->style->openmetrics && is_counter(row) ? "_total" : "");
	fprintf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, about->help, name, about->type);
	if (w->style->openmetrics && counters_is_time(row))
		fprintf(w->out, "# UNIT %s seconds\n", name);
}

/* A value of a label: what is not UTF-8 becomes U+FFFD, a control character a blank. */
static void metrics_label(struct writer *w, const char *name, const char *value)
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

/* Each container has a process 1. */
static void labels_of_process(struct writer *w, const struct gcpreload_header *h)
{
	struct container container;
	char pid[16];

	container_of(&container, h);
	metrics_label(w, "host", h->hostname);
	metrics_label(w, "container", container.id);
	metrics_label(w, "pod_uid", container.pod_uid);
	snprintf(pid, sizeof pid, "%d", h->pid);
	metrics_label(w, "pid", pid);
}

static void metrics_begin(struct writer *w, const char *name, const struct subject *subject)
{
	fputs(name, w->out);
	w->first_label = true;
	metrics_label(w, "service", subject->service->name);
	if (subject->process)
		labels_of_process(w, &subject->process->reader.header);
}

static void end_uint(struct writer *w, uint64_t value)
{
	fprintf(w->out, "} %" PRIu64 "\n", value);
}

/* The newest exemplar of a bucket. */
static void end_bucket(struct writer *w, uint64_t value, const struct gcpreload_hit *hit)
{
	fprintf(w->out, "} %" PRIu64, value);
	exemplars_openmetrics(w->out, hit);
	fputc('\n', w->out);
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
	metrics_label(w, "generation", text);
	if (w->style->compat)
		return;
	metrics_label(w, "cause", gcpreload_cause_name(cause));
	metrics_label(w, "period", gcpreload_period_name(period));
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
		if (w->style->compat)
			gcpreload_series_merge(&sums[g], &one);
		else
			write(w, row, subject, place / GCPRELOAD_CAUSES / GCPRELOAD_GENERATIONS, g,
			      place % GCPRELOAD_CAUSES, &one);
	}
	for (g = 0; w->style->compat && g < GCPRELOAD_GENERATIONS; g++)
		write(w, row, subject, 0, g, 0, &sums[g]);
}

/* Calls write for every series that counts anything; in compat for each generation's sum. */
static void each_series(struct writer *w, unsigned row, write_series *write)
{
	size_t i;

	metrics_family(w, row);
	for (i = 0; i < w->n_subjects; i++)
		each_of(w, row, &w->subjects[i], write);
}

static void metrics_write_counter(struct writer *w, unsigned row, const struct subject *subject,
				  unsigned period, unsigned generation, unsigned cause,
				  const struct gcpreload_series *series)
{
	char name[LONGEST_NAME];

	metrics_begin(w, name_of(name, w, row, "_total"), subject);
	series_labels(w, period, generation, cause);
	end_uint(w, counters_in_series(series, row));
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
	char name[LONGEST_NAME], le[32];
	double low = 0, bound = 0;
	size_t i;
	int j;

	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		all += series->buckets[j];
	name_of(name, w, row, "_bucket");
	for (i = 0; i <= N_BOUNDS; i++) {
		metrics_begin(w, name, subject);
		series_labels(w, period, generation, cause);
		low = bound;
		bound = i == N_BOUNDS	? HUGE_VAL
			: bounds[i] < 0 ? 1. / (1 << -bounds[i])
					: 1. * (1 << bounds[i]);
		snprintf(le, sizeof le, "%.15g", bound);
		metrics_label(w, "le", i < N_BOUNDS ? le : "+Inf");
		end_bucket(w, i < N_BOUNDS ? up_to(series, bounds[i]) : all,
			   exemplars_newest(&subject->exemplars, &of, low, bound));
	}
	metrics_begin(w, name_of(name, w, row, "_sum"), subject);
	series_labels(w, period, generation, cause);
	end_double(w, (double)series->sum_ns / 1e9);
	metrics_begin(w, name_of(name, w, row, "_count"), subject);
	series_labels(w, period, generation, cause);
	end_uint(w, all);
}

static void metrics_collections(struct writer *w)
{
	unsigned row;

	for (row = COUNTERS_OF_PROCESS; row < COUNTERS_END_OF_SERIES; row++)
		each_series(w, row, metrics_write_counter);
	each_series(w, COUNTERS_duration, write_duration);
}

/* ---- processes ---- */

static uint64_t metrics_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A parent that only forks serves nothing, and neither does one that has not begun. */
static bool subject_serves(const struct gcpreload_header *h)
{
	return !gcpreload_is_parent(h) && h->period != GCPRELOAD_PERIOD_STARTUP;
}

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
	if (w->style->openmetrics)
		exemplars_add(&subject->exemplars, &process->exemplars);
	subject->load_known = subject->load_known || h->load.as_of_ns;
	if (!process->alive)
		return;
	subject->frozen += h->frozen_objects > 0 ? (double)h->frozen_objects : 0;
	subject->live += (double)h->marks.live;
	subject->pending += (double)h->marks.pending;
	if (!subject_serves(h))
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
		(w->style->per_process ? add_processes : add_service)(w, gather,
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
	char name[LONGEST_NAME], label[16];
	unsigned row;
	size_t i;

	for (row = 0; row < COUNTERS_OF_PROCESS; row++) {
		const struct counters_row *about = &counters_table[row];
		const char *value = counters_label(row, label, sizeof label);

		if (!*about->prometheus)
			continue;
		if (strcmp(before, about->prometheus) != 0)
			metrics_family(w, row);
		before = about->prometheus;
		for (i = 0; i < w->n_subjects; i++) {
			if (!counter_is_known(&w->subjects[i], row))
				continue;
			metrics_begin(w, name_of(name, w, row, "_total"), &w->subjects[i]);
			if (*about->label)
				metrics_label(w, label, value);
			end_double(w, counters_value(&w->subjects[i].counted, row));
		}
	}
}

static void metrics_gauge(struct writer *w, unsigned row, size_t offset)
{
	size_t i;

	metrics_family(w, row);
	for (i = 0; i < w->n_subjects; i++) {
		metrics_begin(w, counters_table[row].prometheus, &w->subjects[i]);
		end_double(w, *(const double *)((const char *)&w->subjects[i] + offset));
	}
}

static void time_ratio(struct writer *w)
{
	size_t i;

	metrics_family(w, COUNTERS_gc_time_share);
	for (i = 0; i < w->n_subjects; i++) {
		const struct subject *subject = &w->subjects[i];

		metrics_begin(w, counters_table[COUNTERS_gc_time_share].prometheus, subject);
		end_double(w, subject->lives > 0 ? subject->spent / subject->lives : 0);
	}
}

/* In that order; the list is to be freed. */
static size_t living_processes(struct gather *gather, int order(const void *a, const void *b),
			       const struct gather_process ***list)
{
	size_t i, n = 0;

	*list = memory_need(malloc((gather->n_processes + 1) * sizeof **list));
	for (i = 0; i < gather->n_processes; i++)
		if (gather->processes[i].alive)
			(*list)[n++] = &gather->processes[i];
	qsort(*list, n, sizeof **list, order);
	return n;
}

static int by_labels(const void *a, const void *b)
{
	const struct gather_process *x = *(const struct gather_process *const *)a;
	const struct gather_process *y = *(const struct gather_process *const *)b;
	const struct gcpreload_header *h = &x->reader.header, *i = &y->reader.header;
	int order = strcmp(x->service->name, y->service->name);

	if (order == 0)
		order = (h->state > i->state) - (h->state < i->state);
	if (order == 0)
		order = (h->mode > i->mode) - (h->mode < i->mode);
	return order ? order : strcmp(h->reason, i->reason);
}

/* Same labels, same line: processes are counted by state, reason and mode. */
static void metrics_states(struct writer *w, struct gather *gather)
{
	const struct gather_process **living;
	size_t i, n = living_processes(gather, by_labels, &living), same;

	metrics_family(w, COUNTERS_process_state);
	for (i = 0; i < n; i += same) {
		const struct gcpreload_header *h = &living[i]->reader.header;
		const struct subject subject = { .service = living[i]->service };

		for (same = 1; i + same < n && !by_labels(&living[i], &living[i + same]); same++)
			;
		metrics_begin(w, counters_table[COUNTERS_process_state].prometheus, &subject);
		metrics_label(w, "state", gcpreload_state_name(h->state));
		metrics_label(w, "reason", h->reason);
		metrics_label(w, "mode", gcpreload_mode_name(h->mode));
		end_uint(w, same);
	}
	free(living);
}

static int by_versions(const void *a, const void *b)
{
	const struct gather_process *x = *(const struct gather_process *const *)a;
	const struct gather_process *y = *(const struct gather_process *const *)b;
	const struct gcpreload_header *h = &x->reader.header, *i = &y->reader.header;
	int order = strcmp(x->service->name, y->service->name);

	if (order == 0)
		order = strcmp(h->service_version, i->service_version);
	if (order == 0)
		order = strcmp(h->python, i->python);
	return order ? order : strcmp(h->library, i->library);
}

static void metrics_versions(struct writer *w, struct gather *gather)
{
	const struct gather_process **living;
	size_t i, n = living_processes(gather, by_versions, &living);

	metrics_family(w, COUNTERS_service_info);
	for (i = 0; i < n; i++) {
		const struct gcpreload_header *h = &living[i]->reader.header;
		const struct subject subject = { .service = living[i]->service };

		if (i && by_versions(&living[i - 1], &living[i]) == 0)
			continue;
		metrics_begin(w, counters_table[COUNTERS_service_info].prometheus, &subject);
		metrics_label(w, "service_version", h->service_version);
		metrics_label(w, "python_version", h->python);
		metrics_label(w, "library_version", h->library);
		end_uint(w, 1);
	}
	free(living);
}

static void metrics_of_exporter(struct writer *w, unsigned row, double value)
{
	metrics_family(w, row);
	fprintf(w->out, "%s %.15g\n", counters_table[row].prometheus, value);
}

static void exporter_itself(struct writer *w, const struct gather_seen *seen)
{
	metrics_of_exporter(w, COUNTERS_exporter_rings, (double)seen->rings);
	metrics_of_exporter(w, COUNTERS_exporter_unreadable_rings, (double)seen->unreadable);
	metrics_of_exporter(w, COUNTERS_exporter_unreadable_directories,
			    (double)seen->trouble.directories);
	metrics_of_exporter(w, COUNTERS_exporter_last_read, (double)seen->read_ns / 1e9);
}

/* Processes that do the same work: of one version of a service, tuned or not. */
struct metrics_like {
	uint64_t length_ns, in_requests_ns;
};

static uint64_t metrics_in_requests(const struct gather_process *process)
{
	const unsigned in_period = GCPRELOAD_GENERATIONS * GCPRELOAD_CAUSES;
	struct gcpreload_series series;
	size_t at = 0;
	unsigned place, cause;
	uint64_t ns = 0;

	while ((at = counts_next(&process->counts, at, &place, &series))) {
		cause = place % GCPRELOAD_CAUSES;
		if (place / in_period == process->reader.header.period &&
		    cause != GCPRELOAD_CAUSE_IDLE && !snapshot_cause_is_once(cause))
			ns += series.sum_ns;
	}
	return ns;
}

static void metrics_add_like(struct metrics_like *like, const struct gather_process *process)
{
	const struct gcpreload_header *h = &process->reader.header;

	like->length_ns +=
	    h->period_spent_ns[h->period] + gcpreload_elapsed(h->period_since_ns, metrics_now());
	like->in_requests_ns += metrics_in_requests(process);
}

static int by_version_and_period(const void *a, const void *b)
{
	const struct gather_process *x = *(const struct gather_process *const *)a;
	const struct gather_process *y = *(const struct gather_process *const *)b;
	const struct gcpreload_header *h = &x->reader.header, *i = &y->reader.header;
	int order = strcmp(x->service->name, y->service->name);

	if (order == 0)
		order = strcmp(h->service_version, i->service_version);
	return order ? order : (h->period > i->period) - (h->period < i->period);
}

/* What one compares: a canary to the others, a version to the one before. */
static void metrics_shares(struct writer *w, struct gather *gather)
{
	const struct gather_process **serving =
	    memory_need(malloc((gather->n_processes + 1) * sizeof(struct gather_process *)));
	size_t i, n = 0, same;

	metrics_family(w, COUNTERS_in_requests_ratio);
	for (i = 0; i < gather->n_processes; i++)
		if (gather->processes[i].alive &&
		    subject_serves(&gather->processes[i].reader.header))
			serving[n++] = &gather->processes[i];
	qsort(serving, n, sizeof *serving, by_version_and_period);
	for (i = 0; i < n; i += same) {
		const struct gcpreload_header *h = &serving[i]->reader.header;
		const struct subject subject = { .service = serving[i]->service };
		struct metrics_like like = { 0 };

		for (same = 0;
		     i + same < n && !by_version_and_period(&serving[i], &serving[i + same]);
		     same++)
			metrics_add_like(&like, serving[i + same]);
		metrics_begin(w, counters_table[COUNTERS_in_requests_ratio].prometheus, &subject);
		metrics_label(w, "service_version", h->service_version);
		metrics_label(w, "tuned", h->period == GCPRELOAD_PERIOD_TUNED ? "yes" : "no");
		end_double(w, like.length_ns ? (double)like.in_requests_ns / (double)like.length_ns
					     : 0);
	}
	free(serving);
}

static void build_info(struct writer *w)
{
	metrics_family(w, COUNTERS_build_info);
	fputs(counters_table[COUNTERS_build_info].prometheus, w->out);
	w->first_label = true;
	metrics_label(w, "version", GCPRELOAD_VERSION);
	end_uint(w, 1);
}

void metrics_write(FILE *out, struct gather *gather, const struct metrics_style *style)
{
	struct writer w = { .out = out, .style = style };
	size_t i;

	choose_subjects(&w, gather);
	build_info(&w);
	exporter_itself(&w, &gather->seen);
	metrics_versions(&w, gather);
	metrics_collections(&w);
	time_ratio(&w);
	metrics_shares(&w, gather);
	metrics_gauge(&w, COUNTERS_frozen_objects, offsetof(struct subject, frozen));
	metrics_gauge(&w, COUNTERS_live_objects, offsetof(struct subject, live));
	metrics_gauge(&w, COUNTERS_pending_garbage, offsetof(struct subject, pending));
	metrics_gauge(&w, COUNTERS_tuned_processes, offsetof(struct subject, tuned));
	metrics_gauge(&w, COUNTERS_untuned_processes, offsetof(struct subject, untuned));
	metrics_states(&w, gather);
	process_counters(&w);
	if (style->openmetrics)
		fputs("# EOF\n", out);
	for (i = 0; i < w.n_subjects; i++) {
		counts_free(&w.subjects[i].sum);
		exemplars_free(&w.subjects[i].exemplars);
	}
	free(w.subjects);
}

/* SPDX-License-Identifier: MIT */
#include "cli/export/metrics_living.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/memory.h"
#include "ring/reader.h"

uint64_t metrics_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool metrics_serves(const struct gcpreload_header *h)
{
	return !gcpreload_is_parent(h) && h->period != GCPRELOAD_PERIOD_STARTUP;
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
void metrics_states(struct metrics_writer *w, struct gather *gather)
{
	const struct gather_process **living;
	size_t i, n = living_processes(gather, by_labels, &living), same;

	metrics_family(w, COUNTERS_process_state);
	for (i = 0; i < n; i += same) {
		const struct gcpreload_header *h = &living[i]->reader.header;

		for (same = 1; i + same < n && !by_labels(&living[i], &living[i + same]); same++)
			;
		metrics_begin(w, counters_table[COUNTERS_process_state].prometheus,
			      living[i]->service->name, NULL);
		metrics_label(w, "state", gcpreload_state_name(h->state));
		metrics_label(w, "reason", h->reason);
		metrics_label(w, "mode", gcpreload_mode_name(h->mode));
		metrics_uint(w, same);
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

void metrics_versions(struct metrics_writer *w, struct gather *gather)
{
	const struct gather_process **living;
	size_t i, n = living_processes(gather, by_versions, &living);

	metrics_family(w, COUNTERS_service_info);
	for (i = 0; i < n; i++) {
		const struct gcpreload_header *h = &living[i]->reader.header;

		if (i && by_versions(&living[i - 1], &living[i]) == 0)
			continue;
		metrics_begin(w, counters_table[COUNTERS_service_info].prometheus,
			      living[i]->service->name, NULL);
		metrics_label(w, "service_version", h->service_version);
		metrics_label(w, "python_version", h->python);
		metrics_label(w, "library_version", h->library);
		metrics_uint(w, 1);
	}
	free(living);
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
	unsigned place;
	uint64_t ns = 0;

	while ((at = counts_next(&process->counts, at, &place, &series))) {
		if (place / in_period == process->reader.header.period &&
		    gcpreload_cause_in_requests(place % GCPRELOAD_CAUSES))
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

void metrics_shares(struct metrics_writer *w, struct gather *gather)
{
	const struct gather_process **living;
	size_t i, n = living_processes(gather, by_version_and_period, &living), same;

	metrics_family(w, COUNTERS_in_requests_ratio);
	for (i = 0; i < n; i += same) {
		const struct gcpreload_header *h = &living[i]->reader.header;
		struct metrics_like like = { 0 };

		for (same = 0;
		     i + same < n && !by_version_and_period(&living[i], &living[i + same]); same++)
			if (metrics_serves(&living[i + same]->reader.header))
				metrics_add_like(&like, living[i + same]);
		if (!like.length_ns)
			continue;
		metrics_begin(w, counters_table[COUNTERS_in_requests_ratio].prometheus,
			      living[i]->service->name, NULL);
		metrics_label(w, "service_version", h->service_version);
		metrics_label(w, "tuned", h->period == GCPRELOAD_PERIOD_TUNED ? "yes" : "no");
		metrics_double(w, (double)like.in_requests_ns / (double)like.length_ns);
	}
	free(living);
}

/* SPDX-License-Identifier: MIT */
#include "cli/export/page_history.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/memory.h"
#include "cli/snapshot.h"

#define SECOND	    1000000000ull
#define BIN_NS	    (10 * SECOND)
#define BINS	    90u
#define MOST_EVENTS 50000u /* of all processes together: some hundredths of a second */
#define FEW_EVENTS  16u	   /* of each, however many there are */

struct bin {
	uint64_t in_requests_ns, idle_ns;
	uint64_t lived_ns; /* of all processes that served */
	uint64_t n[GCPRELOAD_GENERATIONS], longest_ns[GCPRELOAD_GENERATIONS];
};

/* Of a service. */
struct past {
	struct bin bins[BINS];
	uint64_t since_ns; /* nothing is missing from here on */
};

struct page_history {
	uint64_t begin_ns, end_ns; /* CLOCK_MONOTONIC */
	double realtime;	   /* at begin_ns */
	size_t n;		   /* services; behind them the total */
	struct past pasts[];
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

/* ---- reading ---- */

static void page_history_add_event(const struct page_history *history, struct past *past,
				   const struct gcpreload_slot *slot)
{
	uint64_t end = slot->start_ns + slot->duration_ns;
	unsigned g = slot->generation;
	struct bin *bin;

	if (end < history->begin_ns || end >= history->end_ns || g >= GCPRELOAD_GENERATIONS ||
	    slot->duration_ns > end || slot->period == GCPRELOAD_PERIOD_STARTUP ||
	    snapshot_cause_is_once(slot->cause))
		return;
	bin = &past->bins[(end - history->begin_ns) / BIN_NS];
	if (slot->cause == GCPRELOAD_CAUSE_IDLE)
		bin->idle_ns += slot->duration_ns;
	else
		bin->in_requests_ns += slot->duration_ns;
	bin->n[g]++;
	if (slot->duration_ns > bin->longest_ns[g])
		bin->longest_ns[g] = slot->duration_ns;
}

static void add_life(const struct page_history *history, struct past *past, uint64_t from,
		     uint64_t to)
{
	uint64_t begin = history->begin_ns;
	size_t i;

	for (i = 0; i < BINS; i++, begin += BIN_NS) {
		uint64_t a = from > begin ? from : begin;
		uint64_t b = to < begin + BIN_NS ? to : begin + BIN_NS;

		if (a < b)
			past->bins[i].lived_ns += b - a;
	}
}

/* When it began to serve, 0: it has not. */
static uint64_t serves_since(const struct gcpreload_header *h)
{
	uint64_t a = h->period_ns[GCPRELOAD_PERIOD_BASELINE];
	uint64_t b = h->period_ns[GCPRELOAD_PERIOD_TUNED];

	return a && (!b || a < b) ? a : b;
}

/* The newest events of a process into its service and the total; a copy of its reader. */
static void read_process(const struct page_history *history, struct gcpreload_reader reader,
			 bool alive, uint64_t most, struct past *pasts[2])
{
	const struct gcpreload_header *h = &reader.header;
	uint64_t n = h->head < h->n_slots ? h->head : h->n_slots, last = h->changed_ns, since = 0;
	uint64_t from = serves_since(h);
	struct gcpreload_slot slot;
	int i;

	n = n < most ? n : most;
	reader.next = h->head - n;
	while (gcpreload_reader_next(&reader, &slot) == 1) {
		if (!since)
			since = slot.start_ns;
		if (slot.start_ns + slot.duration_ns > last)
			last = slot.start_ns + slot.duration_ns;
		for (i = 0; i < 2; i++)
			page_history_add_event(history, pasts[i], &slot);
	}
	for (i = 0; i < 2; i++) {
		if (n < h->head && since > pasts[i]->since_ns)
			pasts[i]->since_ns = since;
		if (from)
			add_life(history, pasts[i], from, alive ? history->end_ns : last);
	}
}

struct page_history *page_history_read(const struct gather *gather)
{
	size_t n = gather->n_services, i, j;
	struct page_history *history =
	    memory_need(calloc(1, sizeof *history + (n + 1) * sizeof *history->pasts));
	uint64_t most = MOST_EVENTS / (gather->n_processes + 1);

	history->n = n;
	history->end_ns = now_ns(CLOCK_MONOTONIC);
	/* A machine that runs for less than that: its clock began at 0. */
	history->begin_ns = gcpreload_elapsed(BINS * BIN_NS, history->end_ns);
	history->realtime = (double)now_ns(CLOCK_REALTIME) / 1e9 -
			    (double)(history->end_ns - history->begin_ns) / 1e9;
	for (j = 0; j < gather->n_processes; j++) {
		const struct gather_process *process = &gather->processes[j];

		for (i = 0; i < n; i++)
			if (gather_belongs(gather->services[i], process))
				read_process(
				    history, process->reader, process->alive,
				    most > FEW_EVENTS ? most : FEW_EVENTS,
				    (struct past *[]){ &history->pasts[i], &history->pasts[n] });
	}
	return history;
}

/* ---- writing ---- */

static void json_bin(const struct bin *bin, double from, struct json *json)
{
	int g;

	json_open(json, '{');
	json_pair_double(json, "from", from);
	json_pair_double(json, "to", from + BIN_NS / 1e9);
	json_pair_double(json, "inside", (double)bin->in_requests_ns / 1e9);
	json_pair_double(json, "outside", (double)bin->idle_ns / 1e9);
	json_pair_double(json, "lived", (double)bin->lived_ns / 1e9);
	json_key(json, "generations");
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
		json_open(json, '{');
		json_pair_uint(json, "n", bin->n[g]);
		json_pair_double(json, "longest", (double)bin->longest_ns[g] / 1e9);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
}

void page_history_json(const struct page_history *history, size_t service, struct json *json)
{
	const struct past *past =
	    &history->pasts[service == PAGE_HISTORY_TOTAL ? history->n : service];
	bool begun = false;
	size_t i;

	json_open(json, '[');
	for (i = 0; i < BINS; i++) {
		uint64_t begin = history->begin_ns + i * BIN_NS;

		if (past->bins[i].lived_ns && begin >= past->since_ns && begin < history->end_ns) {
			json_bin(&past->bins[i],
				 history->realtime + (double)(begin - history->begin_ns) / 1e9,
				 json);
			begun = true;
		} else if (begun) {
			json_null(json);
		}
	}
	json_close(json, ']');
}

void page_history_free(struct page_history *history)
{
	free(history);
}

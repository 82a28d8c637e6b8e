/* SPDX-License-Identifier: MIT */
#include "ring/load.h"

#include "base/clock.h"
#include "base/shared.h"
#include "ring/reader.h"

/* Adds the growth of a total to what counts for the period. */
static void load_add(uint64_t parts[GCPRELOAD_PERIODS], uint32_t period, uint64_t total)
{
	uint64_t known = 0;
	int p;

	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		known += parts[p];
	if (total > known)
		store_relaxed(&parts[period], parts[period] + (total - known));
}

static void load_note_warm(struct gcpreload_header *h, const struct gcpreload_series *series,
			   uint64_t spent_ns)
{
	struct gcpreload_warm *warm = &h->load.warm[h->period - GCPRELOAD_PERIOD_BASELINE];
	uint64_t collections = 0, in_request_ns = 0;
	unsigned i, c;

	series += h->period * GCPRELOAD_GENERATIONS * GCPRELOAD_CAUSES;
	for (i = 0; i < GCPRELOAD_GENERATIONS; i++)
		for (c = 0; c < GCPRELOAD_CAUSES; c++, series++)
			if (gcpreload_cause_in_requests(c)) {
				collections += load_relaxed(&series->collections);
				in_request_ns += load_relaxed(&series->sum_ns);
			}
	warm->collections = (uint32_t)collections;
	warm->in_request_ns = in_request_ns;
	warm->cpu_ns = h->load.cpu_ns[h->period];
	warm->accepted = h->load.accepted[h->period];
	store_release(&warm->spent_ms, (uint32_t)(spent_ns / 1000000));
}

void ring_load_account(struct gcpreload_header *h, const struct gcpreload_series *series,
		       const struct ring_load_now *now)
{
	uint64_t spent;

	load_add(h->load.cpu_ns, h->period, now->cpu_ns);
	load_add(h->load.accepted, h->period, now->accepted);
	store_release(&h->load.as_of_ns, now->now_ns);
	if (h->period == GCPRELOAD_PERIOD_STARTUP ||
	    h->load.warm[h->period - GCPRELOAD_PERIOD_BASELINE].spent_ms)
		return;
	spent = h->period_spent_ns[h->period] + gcpreload_elapsed(h->period_since_ns, now->now_ns);
	if (spent >= GCPRELOAD_WARM_NS && spent < UINT32_MAX * 1000000ull)
		load_note_warm(h, series, spent);
}

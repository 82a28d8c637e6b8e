/* SPDX-License-Identifier: MIT */
#include "ring/histogram.h"

#define OCTAVE		       (1 << GCPRELOAD_HISTOGRAM_SCALE)
#define OCTAVES_BELOW_A_SECOND (-GCPRELOAD_HISTOGRAM_FIRST / OCTAVE)
#define SECOND		       1000000000ull

_Static_assert(OCTAVE == 8, "the table below is for scale 3");

/* 2^(k/8), 32 fractional bits. */
static const uint64_t root[OCTAVE] = {
	0x100000000, 0x1172b83c8, 0x1306fe0a3, 0x14bfdad53,
	0x16a09e668, 0x18ace5423, 0x1ae89f996, 0x1d5818dd0,
};

uint64_t gcpreload_histogram_bound(int j)
{
	int shift = 32 + OCTAVES_BELOW_A_SECOND - j / OCTAVE;

	return (SECOND * root[j % OCTAVE]) >> shift;
}

int gcpreload_histogram_bucket(uint64_t ns)
{
	uint64_t octaves;
	int j;

	if (ns <= gcpreload_histogram_bound(0))
		return GCPRELOAD_BUCKET_BELOW;
	if (ns > gcpreload_histogram_bound(GCPRELOAD_BUCKETS))
		return GCPRELOAD_BUCKET_ABOVE;
	/* ns in units of the lowest bound; rounding leaves us at most one octave too high. */
	octaves = (ns << OCTAVES_BELOW_A_SECOND) / SECOND;
	j = octaves ? (63 - __builtin_clzll(octaves)) * OCTAVE : 0;
	if (ns <= gcpreload_histogram_bound(j))
		return j - 1;
	if (ns > gcpreload_histogram_bound(j + 4))
		j += 4;
	if (ns > gcpreload_histogram_bound(j + 2))
		j += 2;
	if (ns > gcpreload_histogram_bound(j + 1))
		j += 1;
	return j;
}

uint64_t gcpreload_histogram_quantile(const struct gcpreload_series *series, double q)
{
	uint64_t total = series->below + series->above, rank, seen = series->below, bound;
	int j;

	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		total += series->buckets[j];
	if (!total)
		return 0;
	rank = (uint64_t)(q * (double)total + 0.5);
	if (rank < 1)
		rank = 1;
	bound = gcpreload_histogram_bound(0);
	for (j = 0; j < GCPRELOAD_BUCKETS && seen < rank; j++) {
		seen += series->buckets[j];
		bound = gcpreload_histogram_bound(j + 1);
	}
	return seen < rank || bound > series->max_ns ? series->max_ns : bound;
}

void gcpreload_series_merge(struct gcpreload_series *into, const struct gcpreload_series *from)
{
	int j;

	into->collections += from->collections;
	into->collected += from->collected;
	into->uncollectable += from->uncollectable;
	into->sum_ns += from->sum_ns;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	into->below += from->below;
	into->above += from->above;
	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		into->buckets[j] += from->buckets[j];
}

/* SPDX-License-Identifier: MIT */
#include "cli/export/counts.h"

#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "ring/histogram.h"

/* A series: its place, what stands before the buckets, how many of these are not zero, and each of
 * them with its number. */
#define BEFORE	(offsetof(struct gcpreload_series, buckets) / sizeof(uint64_t))
#define LONGEST (2 + BEFORE + 2 * GCPRELOAD_BUCKETS)

static uint64_t *make_room(struct counts *counts, size_t n)
{
	if (counts->room - counts->n < n) {
		counts->room = counts->n + LONGEST;
		counts->words =
		    memory_need(realloc(counts->words, counts->room * sizeof *counts->words));
	}
	return counts->words + counts->n;
}

static void counts_append(struct counts *counts, uint64_t place,
			  const struct gcpreload_series *series)
{
	uint64_t *words = make_room(counts, LONGEST), *n_buckets;
	unsigned j;

	*words++ = place;
	memcpy(words, series, BEFORE * sizeof *words);
	n_buckets = words + BEFORE;
	*n_buckets = 0;
	words = n_buckets + 1;
	for (j = 0; j < GCPRELOAD_BUCKETS; j++)
		if (series->buckets[j]) {
			*words++ = j;
			*words++ = series->buckets[j];
			++*n_buckets;
		}
	counts->n = (size_t)(words - counts->words);
	counts->collections += series->collections;
	counts->gc_ns += series->sum_ns;
}

/* Where the next series begins. */
static size_t counts_behind(const struct counts *counts, size_t at)
{
	return at + 2 + BEFORE + 2 * counts->words[at + 1 + BEFORE];
}

/* A series of before, as it is. */
static void counts_keep(struct counts *counts, const struct counts *old, size_t at)
{
	size_t n = counts_behind(old, at) - at;
	uint64_t *words = make_room(counts, n);

	memcpy(words, old->words + at, n * sizeof *words);
	counts->n += n;
	counts->collections += old->words[at + 1];
	counts->gc_ns += old->words[at + 1 + offsetof(struct gcpreload_series, sum_ns) / 8];
}

/* The room for the longest series is given back: there may be thousands of these. */
static void counts_instead(struct counts *counts, struct counts *made)
{
	free(counts->words);
	*counts = *made;
	counts->room = counts->n;
	if (counts->n)
		counts->words =
		    memory_need(realloc(counts->words, counts->n * sizeof *counts->words));
}

/* One series, which was at in old, or was not there (at is old->n). */
static int read_one(struct counts *made, const struct counts *old, size_t at,
		    struct gcpreload_reader *reader, unsigned place)
{
	unsigned c = place % GCPRELOAD_CAUSES, g = place / GCPRELOAD_CAUSES % GCPRELOAD_GENERATIONS;
	unsigned p = place / GCPRELOAD_CAUSES / GCPRELOAD_GENERATIONS;
	struct gcpreload_series series;
	uint64_t collections;
	int ret = gcpreload_reader_collections(reader, p, g, c, &collections);

	if (ret < 0 || !collections)
		return ret;
	if (at < old->n && old->words[at + 1] == collections) {
		counts_keep(made, old, at);
		return 0;
	}
	ret = gcpreload_reader_series(reader, p, g, c, &series);
	if (ret == 0 && series.collections)
		counts_append(made, place, &series);
	return ret;
}

int counts_read(struct counts *counts, struct gcpreload_reader *reader, unsigned periods)
{
	struct counts made = { .words = NULL };
	size_t at = 0, next;
	unsigned place;
	int ret = 0;

	for (place = 0; place < GCPRELOAD_SERIES && ret == 0; place++, at = next) {
		bool there = at < counts->n && counts->words[at] == place;

		next = there ? counts_behind(counts, at) : at;
		if (periods & 1u << place / GCPRELOAD_CAUSES / GCPRELOAD_GENERATIONS)
			ret = read_one(&made, counts, there ? at : counts->n, reader, place);
		else if (there)
			counts_keep(&made, counts, at);
	}
	if (ret < 0)
		counts_free(&made);
	else
		counts_instead(counts, &made);
	return ret;
}

size_t counts_next(const struct counts *counts, size_t at, unsigned *place,
		   struct gcpreload_series *series)
{
	const uint64_t *words;
	uint64_t n;

	if (at >= counts->n)
		return 0;
	words = counts->words + at;
	memset(series, 0, sizeof *series);
	*place = (unsigned)*words++;
	memcpy(series, words, BEFORE * sizeof *words);
	words += BEFORE;
	for (n = *words++; n; n--, words += 2)
		series->buckets[words[0]] = words[1];
	return (size_t)(words - counts->words);
}

void counts_add(gather_series sum, const struct counts *counts)
{
	struct gcpreload_series series;
	unsigned place;
	size_t at = 0;

	while ((at = counts_next(counts, at, &place, &series)))
		gcpreload_series_merge(&(&sum[0][0][0])[place], &series);
}

void counts_take(struct counts *counts, gather_series sum)
{
	struct counts made = { .words = NULL };
	unsigned i;

	for (i = 0; i < GCPRELOAD_SERIES; i++)
		if ((&sum[0][0][0])[i].collections)
			counts_append(&made, i, &(&sum[0][0][0])[i]);
	counts_instead(counts, &made);
}

void counts_free(struct counts *counts)
{
	free(counts->words);
	memset(counts, 0, sizeof *counts);
}

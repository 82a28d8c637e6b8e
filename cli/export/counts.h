/* SPDX-License-Identifier: MIT */
/* What one ring counts, in little room: 72 series of 200 words are nearly all zero. */
#ifndef GCPRELOAD_CLI_EXPORT_COUNTS_H
#define GCPRELOAD_CLI_EXPORT_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/reader.h"

typedef struct gcpreload_series gather_series[GCPRELOAD_PERIODS][GCPRELOAD_GENERATIONS]
					     [GCPRELOAD_CAUSES];

struct counts {
	uint64_t *words;
	size_t n, room;
	uint64_t collections, gc_ns; /* of all */
};

/* Takes over what has changed in the series of some periods: a bit for each. Returns 0, or -errno,
 * and then all is as before. */
int counts_read(struct counts *counts, struct gcpreload_reader *reader, unsigned periods);

#define COUNTS_ALL_PERIODS ((1u << GCPRELOAD_PERIODS) - 1)

/* The series after at, which begins as 0, in the order of period, generation and cause, of which
 * *place is made. Returns the next at, or 0 behind the last. */
size_t counts_next(const struct counts *counts, size_t at, unsigned *place,
		   struct gcpreload_series *series);

/* Adds them to a sum. */
void counts_add(gather_series sum, const struct counts *counts);

/* What a sum holds, instead. */
void counts_take(struct counts *counts, gather_series sum);

void counts_free(struct counts *counts);

#endif

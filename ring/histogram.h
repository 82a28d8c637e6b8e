/* SPDX-License-Identifier: MIT */
/* Buckets of a duration histogram: base-2 exponential, aligned to seconds (layout.h). */
#ifndef GCPRELOAD_RING_HISTOGRAM_H
#define GCPRELOAD_RING_HISTOGRAM_H

#include <stdint.h>

#include "ring/layout.h"

#define GCPRELOAD_BUCKET_BELOW (-1)
#define GCPRELOAD_BUCKET_ABOVE GCPRELOAD_BUCKETS

/* Lower bound of bucket j, exclusive, in nanoseconds; j from 0 to GCPRELOAD_BUCKETS (the upper
 * bound of the last bucket). */
uint64_t gcpreload_histogram_bound(int j);

/* The bucket of a duration: 0 to GCPRELOAD_BUCKETS - 1, or one of the two names above. No
 * floating point, no libm: this runs inside every collection of the host. */
int gcpreload_histogram_bucket(uint64_t ns);

/* The duration (ns) below which a share q (0 to 1) of the series' collections lie: the upper
 * bound of the bucket that holds it, but never more than max_ns; 0 for an empty series. */
uint64_t gcpreload_histogram_quantile(const struct gcpreload_series *series, double q);

/* Adds what the series from holds to into. */
void gcpreload_series_merge(struct gcpreload_series *into, const struct gcpreload_series *from);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * How many times as much the one group has as the other, and how sure that is.
 *
 * Each pod is one observation, because requests and workers of a pod are not independent of each
 * other. Pods are few, and one of them may be far off, so nothing is assumed of how they are
 * distributed: the estimate is the median of all ratios of one pod to another (that of Hodges and
 * Lehmann, of the logarithms), and its interval is that of the rank test of Mann, Whitney and
 * Wilcoxon. Where both groups are alike the interval misses 1 in at most one of twenty
 * comparisons, for any number of pods. A bootstrap of five pods does not hold that.
 */
#ifndef GCPRELOAD_CLI_RANK_H
#define GCPRELOAD_CLI_RANK_H

#include <stdbool.h>
#include <stddef.h>

#define RANK_LEAST	4 /* pods of each group */
#define RANK_CONFIDENCE .95

struct rank_interval {
	double ratio;	  /* of b to a */
	double low, high; /* HUGE_VAL where a is 0 */
};

/* Values are 0 or above; nothing is kept. Returns false where one group is too small. */
bool rank_compare(struct rank_interval *interval, const double *a, size_t n_a, const double *b,
		  size_t n_b);

/* The middle one; for an even number the mean of two. 0 for none. */
double rank_median(const double *values, size_t n);

#endif

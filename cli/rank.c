/* SPDX-License-Identifier: MIT */
#include "cli/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"

#define EXACT_UP_TO 600	 /* ratios */
#define NORMAL_2_5  1.96 /* of the normal distribution, so far from its mean */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double rank_median(const double *values, size_t n)
{
	double *sorted, median;

	if (!n)
		return 0;
	sorted = memory_need(malloc(n * sizeof *sorted));
	memcpy(sorted, values, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, by_value);
	median =
	    n % 2 || isinf(sorted[n / 2]) ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
	free(sorted);
	return median;
}

/* How the statistic U is distributed where both groups are alike, chance[u] for u from 0 to m * n:
 * the last of all pods is of the one group or of the other. One line of the table for each size
 * of the one group; the other grows. */
static double *rank_chances(size_t m, size_t n)
{
	size_t width = m * n + 1, i, j, u;
	double *table = memory_need(calloc((m + 1) * width, sizeof *table)), *chances;

	for (j = 0; j <= n; j++)
		for (i = 0; i <= m; i++) {
			double *line = table + i * width;

			if (!i || !j) {
				memset(line, 0, width * sizeof *line);
				line[0] = 1;
				continue;
			}
			/* What is there is of j - 1, and the line above already of j. */
			for (u = 0; u < width; u++)
				line[u] =
				    line[u] * (double)j / (double)(i + j) +
				    (u >= j ? line[u - j - width] * (double)i / (double)(i + j)
					    : 0);
		}
	chances = memory_need(malloc(width * sizeof *chances));
	memcpy(chances, table + m * width, width * sizeof *chances);
	free(table);
	return chances;
}

/* So far below its mean is U in one of forty; by squares, which need no library of mathematics. */
static size_t rank_left_out_of_many(double m, double n)
{
	double far = NORMAL_2_5 * NORMAL_2_5 * m * n * (m + n + 1) / 12, half = m * n / 2;
	size_t k = 0;

	while ((double)k < half && (half - (double)k - 1) * (half - (double)k - 1) >= far)
		k++;
	return k;
}

/* So many of the ratios are left out at each end; 0: too few for any interval. */
static size_t rank_left_out(size_t m, size_t n)
{
	double tail = (1 - RANK_CONFIDENCE) / 2, sum = 0, *chances;
	size_t u;

	if (m * n > EXACT_UP_TO)
		return rank_left_out_of_many((double)m, (double)n);
	chances = rank_chances(m, n);
	for (u = 0; u <= m * n && sum + chances[u] <= tail; u++)
		sum += chances[u];
	free(chances);
	return u;
}

static double ratio_of_two(double a, double b)
{
	if (a > 0)
		return b / a;
	return b > 0 ? HUGE_VAL : 1;
}

bool rank_compare(struct rank_interval *interval, const double *a, size_t n_a, const double *b,
		  size_t n_b)
{
	size_t n = n_a * n_b, out, i, j;
	double *ratios;

	if (n_a < RANK_LEAST || n_b < RANK_LEAST)
		return false;
	out = rank_left_out(n_a, n_b);
	ratios = memory_need(malloc(n * sizeof *ratios));
	for (i = 0; i < n_a; i++)
		for (j = 0; j < n_b; j++)
			ratios[i * n_b + j] = ratio_of_two(a[i], b[j]);
	qsort(ratios, n, sizeof *ratios, by_value);
	interval->ratio = rank_median(ratios, n);
	interval->low = out ? ratios[out - 1] : 0;
	interval->high = out ? ratios[n - out] : HUGE_VAL;
	free(ratios);
	return true;
}

/* SPDX-License-Identifier: MIT */
#include "cli/claim.h"

#include <string.h>

bool report_present(const struct snapshot_period *period)
{
	return period->length_ns || period->gc_ns;
}

void report_claim(struct report_claim *claim, const struct snapshot_period *stock,
		  const struct snapshot_period *tuned, const struct snapshot_period *untuned,
		  const struct snapshot_period *sampled)
{
	memset(claim, 0, sizeof *claim);
	if (untuned && sampled && report_present(untuned) && report_present(sampled)) {
		claim->same_time = true;
		stock = untuned;
		tuned = sampled;
	}
	claim->stock = stock;
	claim->tuned = tuned;
	claim->possible = report_present(stock) && report_present(tuned);
	claim->steady = fair_leaves_out((double)stock->steady.length_ns / 1e9,
					(double)tuned->steady.length_ns / 1e9);
	fair_side_of(&claim->sides[0], "with the stock collector", stock, claim->steady);
	fair_side_of(&claim->sides[1], "tuned", tuned, claim->steady);
	fair_why_not(claim->why_not, sizeof claim->why_not, &claim->sides[0], &claim->sides[1]);
}

/* SPDX-License-Identifier: MIT */
/* What report says in a sentence: stock beside tuned, where that is fair. */
#ifndef GCPRELOAD_CLI_CLAIM_H
#define GCPRELOAD_CLI_CLAIM_H

#include "cli/fair.h"
#include "cli/snapshot.h"

struct report_claim {
	bool possible;	   /* there are both */
	char why_not[256]; /* and why they are not compared, or "" */
	bool steady;	   /* the sides are without the first minutes */
	bool same_time;	   /* stock is untuned processes of the same time, not what was before */
	const struct snapshot_period *stock, *tuned;
	struct fair_side sides[2]; /* of these */
};

/* untuned, sampled: what GCPRELOAD_SAMPLE left and chose, which is preferred; or NULL. */
void report_claim(struct report_claim *claim, const struct snapshot_period *stock,
		  const struct snapshot_period *tuned, const struct snapshot_period *untuned,
		  const struct snapshot_period *sampled);

/* Whether a period began at all. */
bool report_present(const struct snapshot_period *period);

#endif

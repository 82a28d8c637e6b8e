/* SPDX-License-Identifier: MIT */
/* What report --json has of the load of periods, and of what is compared. */
#include "cli/claim.h"
#include "cli/counters.h"
#include "cli/report.h"

static void pair_known(struct json *json, const char *key, bool known, double value)
{
	if (known)
		json_pair_double(json, key, value);
	else
		json_pair_null(json, key);
}

/* What fair comparisons need: cli/fair.h. */
void report_json_load(const struct snapshot_period *period, struct json *json)
{
	const struct snapshot_steady *steady = &period->steady;
	bool known = !period->load_unknown, accepts = known && period->accepts;
	double n;
	int i;

	pair_known(json, COUNTERS_KEY(cpu_time), known, (double)period->cpu_ns / 1e9);
	pair_known(json, COUNTERS_KEY(connections), accepts, (double)period->accepted);
	json_pair_uint(json, COUNTERS_KEY(in_request_collections), period->in_requests.collections);
	for (i = 0; i < REPORT_PERS; i++) {
		json_key(json, report_pers[i].key);
		json_open(json, '{');
		n = report_per_collections(&report_pers[i], period);
		pair_known(json, COUNTERS_KEY(collections), n >= 0, n);
		n = report_per_seconds(&report_pers[i], period);
		pair_known(json, COUNTERS_KEY(duration), n >= 0, n);
		json_close(json, '}');
	}
	json_key(json, "steady");
	if (!known || !steady->length_ns) {
		json_null(json);
		return;
	}
	json_open(json, '{');
	json_pair_double(json, "seconds", (double)steady->length_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(cpu_time), (double)steady->cpu_ns / 1e9);
	pair_known(json, COUNTERS_KEY(connections), accepts, (double)steady->accepted);
	json_pair_uint(json, COUNTERS_KEY(in_request_collections), steady->collections);
	json_pair_double(json, COUNTERS_KEY(in_request_time), (double)steady->in_request_ns / 1e9);
	json_close(json, '}');
}

void report_json_claim(const struct snapshot_period *periods, const struct snapshot_period *untuned,
		       const struct snapshot_period *sampled, struct json *json)
{
	struct report_claim claim;

	report_claim(&claim, &periods[GCPRELOAD_PERIOD_BASELINE], &periods[GCPRELOAD_PERIOD_TUNED],
		     untuned, sampled);
	json_pair_string(json, "not_compared",
			 claim.possible && *claim.why_not ? claim.why_not : NULL);
	json_pair_bool(json, "without_first_minutes", claim.possible && claim.steady);
	json_pair_bool(json, "equal_times",
		       claim.possible && fair_spans((double)claim.stock->length_ns,
						    (double)claim.tuned->length_ns));
}

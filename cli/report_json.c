/* SPDX-License-Identifier: MIT */
/* What report --json has of periods and totals. */
#include "cli/claim.h"
#include "cli/counters.h"
#include "cli/report.h"
#include "ring/histogram.h"

static void json_series(const struct gcpreload_series *series, struct json *json)
{
	counters_json_series(series, COUNTERS_REPORT, json);
	json_pair_double(json, COUNTERS_KEY(duration), (double)series->sum_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(p50),
			 (double)gcpreload_histogram_quantile(series, .5) / 1e9);
	json_pair_double(json, COUNTERS_KEY(p99),
			 (double)gcpreload_histogram_quantile(series, .99) / 1e9);
	json_pair_double(json, COUNTERS_KEY(max), (double)series->max_ns / 1e9);
}

static void pair_known(struct json *json, const char *key, bool known, double value)
{
	if (known)
		json_pair_double(json, key, value);
	else
		json_pair_null(json, key);
}

/* What fair comparisons need: cli/fair.h. */
static void json_load(const struct snapshot_period *period, struct json *json)
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

void report_json_period(const struct snapshot_period *period, struct json *json)
{
	int g;

	json_pair_double(json, "seconds", (double)period->length_ns / 1e9);
	json_pair_double(json, COUNTERS_KEY(gc_time), (double)period->gc_ns / 1e9);
	json_key(json, COUNTERS_KEY(gc_time_share));
	if (snapshot_share(period) < 0)
		json_null(json);
	else
		json_double(json, snapshot_share(period));
	snapshot_json_requests(period, json);
	json_load(period, json);
	json_key(json, "generations");
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
		json_open(json, '{');
		json_pair_int(json, "generation", g);
		json_series(&period->generations[g], json);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_key(json, "once");
	json_open(json, '{');
	json_series(&period->once, json);
	json_close(json, '}');
}

void report_json_periods(const struct snapshot_period *periods, struct json *json)
{
	int p;

	json_key(json, "periods");
	json_open(json, '[');
	for (p = 0; p < GCPRELOAD_PERIODS; p++) {
		if (!report_present(&periods[p]))
			continue;
		json_open(json, '{');
		json_pair_string(json, "period", gcpreload_period_name((unsigned)p));
		report_json_period(&periods[p], json);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void report_json_total(const struct report_total *total, struct json *json)
{
	const struct gcpreload_header *h = &total->first->header;

	json_open(json, '{');
	json_pair_string(json, "service", *h->service_name ? h->service_name : NULL);
	if (*h->service_name)
		json_pair_null(json, "ppid");
	else
		json_pair_int(json, "ppid", h->ppid);
	json_pair_uint(json, COUNTERS_KEY(process_state), total->n);
	report_json_periods(total->periods, json);
	report_json_claim(total->periods, &total->untuned, &total->sampled, json);
	json_close(json, '}');
}

/* SPDX-License-Identifier: MIT */
/* gcpreload report: start-up, serving with the interpreter's own collector, serving tuned; side
 * by side. Start-up is never compared with anything: nobody waits for it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/compare.h"
#include "cli/counters.h"
#include "cli/fleet.h"
#include "cli/load.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/text.h"

struct report {
	struct rings_choice choice;
	bool json;
	bool compare;
	bool fleet;
	int32_t *pids;
	size_t n_pids;
};

static bool report_wanted(const struct report *report, const struct snapshot *s)
{
	size_t i;

	for (i = 0; i < report->n_pids; i++)
		if (report->pids[i] == s->header.pid && !s->why)
			return true;
	return !report->n_pids;
}

/* Takes what was not asked for out of the list. */
static void select_wanted(const struct report *report, struct snapshots *all)
{
	struct snapshot *spare;
	size_t i, kept = 0;

	for (i = 0; i < all->n; i++) {
		if (!report_wanted(report, all->list[i]))
			continue;
		spare = all->list[kept];
		all->list[kept++] = all->list[i];
		all->list[i] = spare;
	}
	for (i = kept; i < all->n; i++)
		snapshot_free(all->list[i]);
	all->n = kept;
}

/* Says which of the given pids have nothing. Returns EXIT_NO where there is one. */
static int report_say_missing(const struct report *report, const struct snapshots *all,
			      const char *where)
{
	int ret = EXIT_FINE;
	size_t i, j;

	for (i = 0; i < report->n_pids; i++) {
		for (j = 0; j < all->n; j++)
			if (all->list[j]->header.pid == report->pids[i])
				break;
		if (j < all->n)
			continue;
		text_complain("%d: no measurements in %s; see: gcpreload doctor --pid %d",
			      report->pids[i], where, report->pids[i]);
		ret = EXIT_NO;
	}
	return ret;
}

static void print_all(const struct snapshots *all)
{
	struct report_total *totals;
	size_t i, n_totals = report_totals(all, &totals);

	for (i = 0; i < all->n; i++)
		report_print(all->list[i]);
	for (i = 0; i < n_totals; i++)
		report_print_total(&totals[i]);
	free(totals);
}

static void json_all(const struct snapshots *all)
{
	struct json json;
	struct report_total *totals;
	size_t i, n_totals = report_totals(all, &totals);

	json_start(&json, stdout, true);
	json_open(&json, '{');
	json_key(&json, "processes");
	json_open(&json, '[');
	for (i = 0; i < all->n; i++) {
		json_open(&json, '{');
		snapshot_json(all->list[i], &json);
		report_json_periods(all->list[i]->periods, &json);
		report_json_claim(all->list[i]->periods, NULL, NULL, &json);
		if (load_age(all->list[i]) < 0)
			json_pair_null(&json, COUNTERS_KEY(load_age));
		else
			json_pair_double(&json, COUNTERS_KEY(load_age), load_age(all->list[i]));
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_key(&json, "totals");
	json_open(&json, '[');
	for (i = 0; i < n_totals; i++)
		report_json_total(&totals[i], &json);
	json_close(&json, ']');
	json_close(&json, '}');
	json_finish(&json);
	free(totals);
}

static int report_options(struct report *report, const struct command *command, int argc,
			  char **argv)
{
	static const struct option longs[] = { RINGS_OPTIONS,
					       OPTION_JSON,
					       OPTION_HELP,
					       { "compare", no_argument, NULL, 'C' },
					       { "fleet", no_argument, NULL, 'L' },
					       { 0 } };
	struct options o = { command, argc, argv, ":" RINGS_SHORTS "jh", longs, -1, 0 };
	const char *why;
	long long pid;
	int c;

	while ((c = options_next(&o)) != -1) {
		if (o.exit >= 0)
			return o.exit;
		if (c == 'j')
			report->json = true;
		else if (c == 'C')
			report->compare = true;
		else if (c == 'L')
			report->fleet = true;
		else if (rings_option(&report->choice, c, &why) < 0)
			return options_wrong(command, "%s: %s", optarg, why);
	}
	if (report->compare) {
		if (argc - optind != 2)
			return options_wrong(command,
					     "--compare: two files of report --json are required");
		return compare_reports(argv[optind], argv[optind + 1], report->json);
	}
	if (report->fleet) {
		if (optind == argc)
			return options_wrong(command,
					     "--fleet: files of report --json are required");
		return fleet_reports(argv + optind, (size_t)(argc - optind), report->json);
	}
	report->pids = memory_need(calloc((size_t)(argc - optind) + 1, sizeof *report->pids));
	for (; optind < argc; optind++) {
		if (text_number(argv[optind], 1, INT32_MAX, &pid) < 0)
			return options_wrong(command, "%s: not a process ID", argv[optind]);
		report->pids[report->n_pids++] = (int32_t)pid;
	}
	return -1;
}

static int exec_report(const struct command *command, int argc, char **argv)
{
	struct report report = { 0 };
	struct snapshots all;
	char *where;
	size_t i;
	int ret = report_options(&report, command, argc, argv);

	if (ret < 0) {
		snapshots_take(&all, &report.choice, &where);
		if (!report.n_pids)
			rings_say_others(&report.choice);
		select_wanted(&report, &all);
		for (i = 0; i < all.n; i++)
			load_until_now(all.list[i]);
		ret = report_say_missing(&report, &all, where);
		if (report.json)
			json_all(&all);
		else
			print_all(&all);
		if (!all.n && !report.n_pids)
			text_complain(
			    "%s: no measurements; a process has them once it is ready, see: "
			    "gcpreload ps --all",
			    where);
		snapshots_free(&all);
		free(where);
	}
	free(report.pids);
	return ret;
}

const struct command command_report = {
	.name = "report",
	.usage = "[--json] [--dir DIR] [--user UID | --all-users] [PID...]\n"
		 "[--json] --compare A B\n"
		 "[--json] --fleet FILE...",
	.summary = "compare the stock collector with the tuned one",
	.help =
	    "Without PID: all processes, including ended ones that still have measurements.\n"
	    "\n"
	    "  --json             print a JSON object: processes, and totals per service\n"
	    "  --compare A B      compare two files of report --json; B / A is the "
	    "ratio\n"
	    "  --fleet FILE...    compare pods, from their files of report --json: tuned with\n"
	    "                     untuned, and each version with the one before, and how sure\n"
	    "                     that is; four pods on each side at least\n" RINGS_HELP "\n"
	    "The columns are the periods of a process: start-up, stock GC (ready, with the\n"
	    "interpreter's own collector) and tuned. Start-up is not compared: no requests are\n"
	    "served then. \"In requests\" are collections that could delay one, \"while waiting\"\n"
	    "those made while the server waited; \"once\" is what readiness, forks and exit took.\n"
	    "The share of time is of all of them. p50 and p99 are at most 9 % too high.\n"
	    "\n"
	    "Stock and tuned, or A and B, are compared where both lasted a minute (of all\n"
	    "processes), neither had more than twice the load of the other (processor time, and\n"
	    "connections from one a second on), one had ten collections in requests, and the\n"
	    "service is the same. The first two minutes of each process are left out where a\n"
	    "minute is behind them.\n",
	.exec = exec_report,
};

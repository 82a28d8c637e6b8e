/* SPDX-License-Identifier: MIT */
/* gcpreload ps: a line per process, what was done to it, and why. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/claim.h"
#include "cli/command.h"
#include "cli/counters.h"
#include "cli/no_ring.h"
#include "cli/options.h"
#include "cli/procfs.h"
#include "cli/ps_config.h"
#include "cli/snapshot.h"
#include "cli/table.h"
#include "cli/text.h"

struct ps {
	struct rings_choice choice;
	bool json;
	bool config;
	bool all;
	bool wide;
};

/* A process that has no ring yet. */
static void add_starting(void *arg, const struct procfs *p)
{
	struct snapshot *s = snapshots_add(arg);
	char *reason = no_ring_reason(p, &s->ring_comes);

	s->starting = s->alive = true;
	s->header.state = GCPRELOAD_STATE_STARTING;
	s->header.pid = p->pid;
	s->header.ppid = p->ppid;
	s->header.uid = p->uid;
	s->header.start_time = p->start_time;
	snprintf(s->header.command, sizeof s->header.command, "%s", p->command);
	snprintf(s->header.reason, sizeof s->header.reason, "%s", reason);
	free(reason);
}

static void json_totals(const struct gcpreload_totals *totals, struct json *json)
{
	json_pair_uint(json, COUNTERS_KEY(collections), totals->collections);
	json_pair_uint(json, COUNTERS_KEY(collected), totals->collected);
	json_pair_uint(json, COUNTERS_KEY(uncollectable), totals->uncollectable);
}

static void gc_entries(const struct snapshot *s, struct json *json)
{
	unsigned g, c;

	json_key(json, "gc");
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		for (c = 0; c < GCPRELOAD_CAUSES; c++) {
			const struct gcpreload_totals *t = &s->gc[g][c];

			if (!t->collections)
				continue;
			json_open(json, '{');
			json_pair_uint(json, "generation", g);
			json_pair_string(json, "cause", gcpreload_cause_name(c));
			json_totals(t, json);
			json_pair_double(json, COUNTERS_KEY(duration),
					 (double)s->gc_sum_ns[g][c] / 1e9);
			json_pair_double(json, COUNTERS_KEY(max), (double)s->gc_max_ns[g][c] / 1e9);
			json_close(json, '}');
		}
	json_close(json, ']');
}

static void inherited_json(const struct snapshot *s, struct json *json)
{
	unsigned g;

	json_key(json, "inherited");
	json_open(json, '[');
	for (g = 0; g < GCPRELOAD_GENERATIONS && !s->why && !s->starting; g++) {
		const struct gcpreload_totals *t = &s->header.inherited[g];

		json_open(json, '{');
		json_pair_uint(json, "generation", g);
		json_totals(t, json);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static bool ps_shows(const struct ps *ps, const struct snapshot *s)
{
	return s->why || s->alive || ps->all;
}

static void ps_print_json(const struct ps *ps, const struct snapshots *all)
{
	struct json json;
	size_t i;

	json_start(&json, stdout, true);
	json_open(&json, '[');
	for (i = 0; i < all->n; i++) {
		if (!ps_shows(ps, all->list[i]))
			continue;
		json_open(&json, '{');
		snapshot_json(all->list[i], &json);
		gc_entries(all->list[i], &json);
		inherited_json(all->list[i], &json);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_finish(&json);
}

/* Since the process is ready: nobody waits for the start. */
static void longest_cell(struct table *table, const struct snapshot *s)
{
	struct snapshot_period serving = s->periods[GCPRELOAD_PERIOD_BASELINE];
	char text[64];

	snapshot_period_merge(&serving, &s->periods[GCPRELOAD_PERIOD_TUNED]);
	if (report_present(&serving))
		table_cell(table, text_duration(text, sizeof text,
						(double)serving.in_requests.max_ns / 1e9));
	else
		table_cell(table, "-");
}

static void measured_cells(struct table *table, const struct snapshot *s)
{
	uint64_t n[GCPRELOAD_GENERATIONS] = { 0 };
	char text[64];
	unsigned g, c;

	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		for (c = 0; c < GCPRELOAD_CAUSES; c++)
			n[g] += s->gc[g][c].collections;
	if (s->header.frozen_objects < 0)
		table_cell(table, "-");
	else
		table_cellf(table, "%" PRId64, s->header.frozen_objects);
	table_cell(table, text_share(text, sizeof text,
				     snapshot_share(&s->periods[snapshot_period_now(s)])));
	table_cellf(table, "%" PRIu64 "/%" PRIu64 "/%" PRIu64, n[0], n[1], n[2]);
	longest_cell(table, s);
}

static void put_dashes(struct table *table, int n)
{
	while (n--)
		table_cell(table, "-");
}

/* Its counts are since then. */
static void reason_cell(struct table *table, const struct snapshot *s)
{
	uint64_t since = snapshot_attached_since(s);
	const char *reason = s->header.reason;
	char text[64];

	if (since)
		table_cellf(table, "attached %s ago%s%s",
			    text_duration(text, sizeof text, (double)since / 1e9),
			    *reason ? "; " : "", reason);
	else
		table_cell(table, *reason ? reason : "-");
}

static void ps_row(struct table *table, const struct snapshot *s, bool whole)
{
	const struct gcpreload_header *h = &s->header;
	char command[sizeof h->command];

	if (s->why) {
		table_cell(table, "-");
		table_cell(table, s->name);
		put_dashes(table, 2);
		table_cell(table, snapshot_state(s));
		table_cell(table, s->why);
		put_dashes(table, 4);
		return;
	}
	table_cellf(table, "%d", h->pid);
	if (!whole)
		text_command(command, sizeof command, h->command);
	else
		snprintf(command, sizeof command, "%s", h->command);
	table_cell(table, *command ? command : "-");
	table_cell(table, *h->python ? h->python : "-");
	table_cell(table, s->starting ? "-" : gcpreload_mode_name(h->mode));
	if (snapshot_is_due(s))
		table_cellf(table, "%s (due)", snapshot_state(s));
	else
		table_cell(table, snapshot_state(s));
	reason_cell(table, s);
	if (s->starting)
		put_dashes(table, 4);
	else
		measured_cells(table, s);
}

/* Where the file system is short of room. */
static void say_smaller(const struct snapshots *all, const char *where)
{
	size_t i, n = 0;

	for (i = 0; i < all->n; i++) {
		const struct snapshot *s = all->list[i];

		n +=
		    !s->why && !s->starting && s->alive && s->header.n_slots < GCPRELOAD_FILE_SLOTS;
	}
	if (n)
		text_complain("%s: little room was left: %zu process%s fewer events than usual; "
			      "counts are exact",
			      where, n, n == 1 ? " keeps" : "es keep");
}

static void print_table(const struct ps *ps, const struct snapshots *all, const char *where)
{
	static const struct column columns[] = {
		{ "PID", 1, 0 },	 { "COMMAND", 0, 36 }, { "PYTHON", 0, 0 }, { "MODE", 0, 0 },
		{ "STATE", 0, 0 },	 { "REASON", 0, 36 },  { "FROZEN", 1, 0 }, { "GC%", 1, 0 },
		{ "COLLECTIONS", 1, 0 }, { "LONGEST", 1, 0 },
	};
	struct table table;
	size_t i, n = 0, dead = 0;
	/* A pipe has no edge, and a script wants whole texts. */
	bool whole = ps->wide || !isatty(STDOUT_FILENO);

	table_start(&table, columns, sizeof columns / sizeof columns[0]);
	for (i = 0; i < all->n; i++) {
		if (ps_shows(ps, all->list[i])) {
			ps_row(&table, all->list[i], whole);
			n++;
		} else {
			dead++;
		}
	}
	table_print(&table, stdout, whole);
	say_smaller(all, where);
	if (!n && dead)
		text_complain("%s: no running process; to list the %zu that ended, add --all",
			      where, dead);
	else if (!n)
		text_complain(
		    "%s: no measurements; a process has them once it is ready, see: gcpreload "
		    "ps --all",
		    where);
}

static int ps_options(struct ps *ps, const struct command *command, int argc, char **argv)
{
	static const struct option longs[] = { RINGS_OPTIONS,
					       OPTION_JSON,
					       OPTION_HELP,
					       { "all", no_argument, NULL, 'a' },
					       { "wide", no_argument, NULL, 'w' },
					       { "config", no_argument, NULL, 'c' },
					       { 0 } };
	struct options o = { command, argc, argv, ":" RINGS_SHORTS "jawh", longs, -1, 0 };
	const char *why;
	int c;

	while ((c = options_next(&o)) != -1) {
		switch (c) {
		case 'j':
			ps->json = true;
			break;
		case 'a':
			ps->all = true;
			break;
		case 'w':
			ps->wide = true;
			break;
		case 'c':
			ps->config = true;
			break;
		default:
			if (o.exit >= 0)
				return o.exit;
			if (rings_option(&ps->choice, c, &why) < 0)
				return options_wrong(command, "%s: %s", optarg, why);
		}
	}
	if (optind < argc && !ps->config)
		return options_wrong(command, "%s: unexpected argument", argv[optind]);
	return -1;
}

static int exec_ps(const struct command *command, int argc, char **argv)
{
	struct ps ps = { 0 };
	struct snapshots all;
	uint32_t uid;
	char *where;
	int ret = ps_options(&ps, command, argc, argv);

	if (ret >= 0)
		return ret;
	ret = EXIT_FINE;
	snapshots_take(&all, &ps.choice, &where);
	rings_say_others(&ps.choice);
	uid = ps.choice.user ? (uint32_t)strtoul(ps.choice.user, NULL, 10) : geteuid();
	if (ps.all) {
		procfs_without_ring(uid, ps.choice.all_users, add_starting, &all);
		snapshots_sort(&all);
	}
	if (ps.config)
		ret = ps_config(&all, argv + optind, ps.json);
	else if (ps.json)
		ps_print_json(&ps, &all);
	else
		print_table(&ps, &all, where);
	snapshots_free(&all);
	free(where);
	return ret;
}

const struct command command_ps = {
	.name = "ps",
	.usage = "[-a] [-w] [--json] [--dir DIR] [--user UID | --all-users]\n"
		 "--config [--json] [--dir DIR] [--user UID | --all-users] [PID...]",
	.summary = "list processes, their state, and the reason for it",
	.help =
	    "  -a, --all          include ended processes, and Python processes without\n"
	    "                     measurements: not ready yet (state \"starting\"), or with no\n"
	    "                     file for them (state \"no-ring\")\n"
	    "  -w, --wide         do not shorten columns\n"
	    "  --config           show the settings in force and where each comes from,\n"
	    "                     of the processes PID, or of all\n"
	    "  --json             print a JSON array, one object per process\n" RINGS_HELP "\n"
	    "GC% is the share of time spent in all collections in the current period: start-up,\n"
	    "stock (ready, with the interpreter's own collector) or tuned. COLLECTIONS are the\n"
	    "collections of generation 0, 1 and 2. LONGEST is the longest collection in requests\n"
	    "since the process is ready; --json has that of the start-up (startup_max_seconds),\n"
	    "and time in requests and while waiting. A process that was attached to while it ran\n"
	    "is counted since then.\n",
	.exec = exec_ps,
};

/* SPDX-License-Identifier: MIT */
/* One process: what it is, rates and pauses of each generation, its last collections. */
#include <inttypes.h>
#include <string.h>

#include "cli/marks.h"
#include "cli/text.h"
#include "cli/top/render.h"
#include "ring/histogram.h"

#define OCTAVE	    (1 << GCPRELOAD_HISTOGRAM_SCALE)
#define NO_EDGE	    80 /* columns, where there is no terminal */
#define LABEL_SPACE 11 /* columns of a label of the axis: "1.95 ms", and a gap */
#define LEVELS	    8  /* of one character of a bar */

/* ---- histogram ---- */

/* The part of the buckets that is shown, in whole powers of two, and how. */
struct axis {
	int first, last;	 /* buckets, last excluded */
	int per_cell;		 /* buckets that one cell is the sum of */
	int cell;		 /* columns of one cell */
	const char *const *bars; /* LEVELS + 1 of them */
};

static uint64_t in_bucket(const struct gcpreload_series *series, int bucket)
{
	uint64_t n = series->buckets[bucket];

	/* What is beyond the buckets is shown at their ends. */
	if (bucket == 0)
		n += series->below;
	if (bucket == GCPRELOAD_BUCKETS - 1)
		n += series->above;
	return n;
}

static bool choose_axis(struct axis *axis, const struct gcpreload_series *series, size_t n,
			int columns)
{
	int bucket;
	size_t i;

	axis->first = GCPRELOAD_BUCKETS;
	axis->last = 0;
	for (bucket = 0; bucket < GCPRELOAD_BUCKETS; bucket++)
		for (i = 0; i < n; i++)
			if (in_bucket(&series[i], bucket)) {
				if (axis->first > bucket)
					axis->first = bucket;
				axis->last = bucket + 1;
			}
	if (axis->first >= axis->last)
		return false;
	axis->first -= axis->first % OCTAVE;
	axis->last += (OCTAVE - axis->last % OCTAVE) % OCTAVE;
	for (axis->per_cell = 1; axis->per_cell < OCTAVE; axis->per_cell *= 2)
		if ((axis->last - axis->first) / axis->per_cell <= columns)
			break;
	axis->cell = columns / ((axis->last - axis->first) / axis->per_cell);
	if (axis->cell < 1)
		axis->cell = 1;
	if (axis->cell > 3)
		axis->cell = 3;
	return true;
}

static uint64_t in_cell(const struct gcpreload_series *series, int from, const struct axis *axis)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < axis->per_cell; i++)
		n += in_bucket(series, from + i);
	return n;
}

/* The bars of one series, height lines of them. */
static void add_bars(struct lines *lines, const struct gcpreload_series *series, const char *label,
		     size_t height, const struct axis *axis)
{
	char row[4 * GCPRELOAD_BUCKETS * 3 + 1], note[48];
	uint64_t most = 0, n;
	size_t r, at;
	int bucket, i, level;

	for (bucket = axis->first; bucket < axis->last; bucket += axis->per_cell)
		if ((n = in_cell(series, bucket, axis)) > most)
			most = n;
	for (r = height; r-- > 0;) {
		at = 0;
		row[0] = '\0';
		for (bucket = axis->first; bucket < axis->last; bucket += axis->per_cell) {
			n = in_cell(series, bucket, axis);
			level =
			    most ? (int)((double)n * LEVELS * (double)height / (double)most) : 0;
			if (n && !level)
				level = 1; /* one is not none */
			level -= (int)r * LEVELS;
			level = level < 0 ? 0 : level > LEVELS ? LEVELS : level;
			for (i = 0; i < axis->cell; i++)
				at += (size_t)snprintf(row + at, sizeof row - at, "%s",
						       axis->bars[level]);
		}
		snprintf(note, sizeof note, "  peak %" PRIu64, most);
		lines_add(lines, LINE_BARS, "%s%s%s", r ? "       " : label, row,
			  r || !most ? "" : note);
	}
}

static void add_labels(struct lines *lines, int indent, const struct axis *axis)
{
	char row[512] = "", label[64];
	int bucket, at, until = 0;

	for (bucket = axis->first; bucket <= axis->last; bucket += OCTAVE) {
		at = (bucket - axis->first) / axis->per_cell * axis->cell;
		if (at < until || (bucket == axis->last && at < until + 1))
			continue;
		text_duration(label, sizeof label, (double)gcpreload_histogram_bound(bucket) / 1e9);
		snprintf(row + strlen(row), sizeof row - strlen(row), "%*s|%s",
			 at - (int)strlen(row), "", label);
		until = at + LABEL_SPACE;
	}
	lines_add(lines, LINE_DIM, "%*s%s", indent, "", row);
}

void render_histogram(struct lines *lines, const struct gcpreload_series *series,
		      const char *const *labels, size_t n, size_t height,
		      const struct render_paper *paper)
{
	static const char *const blocks[] = { " ",	"\u2581", "\u2582", "\u2583", "\u2584",
					      "\u2585", "\u2586", "\u2587", "\u2588" };
	static const char *const ascii[] = { " ", ".", ".", ":", ":", "=", "=", "#", "#" };
	int indent = (int)text_width(labels[0]), columns;
	struct axis axis = { .bars = paper->utf8 ? blocks : ascii };
	size_t i;

	columns = (int)(paper->columns ? paper->columns : NO_EDGE) - indent - 14;
	if (!choose_axis(&axis, series, n, columns > 8 ? columns : 8)) {
		lines_add(lines, LINE_DIM, "  none yet");
		return;
	}
	for (i = 0; i < n; i++)
		add_bars(lines, &series[i], labels[i], height, &axis);
	add_labels(lines, indent, &axis);
}

/* ---- the rest ---- */

static void add_identity(struct lines *lines, const struct snapshot *s)
{
	const struct gcpreload_header *h = &s->header;
	char frozen[48] = "nothing frozen";

	if (h->frozen_objects >= 0)
		snprintf(frozen, sizeof frozen, "%" PRId64 " objects frozen", h->frozen_objects);
	lines_add(lines, LINE_HEAD, "%d  %s%s%s", h->pid, h->service_name,
		  *h->service_name ? "  " : "", h->command);
	lines_add(lines, LINE_PLAIN, "%s%s%s%s", snapshot_state(s),
		  snapshot_is_due(s) ? " (due: an action is overdue)" : "", *h->reason ? ": " : "",
		  h->reason);
	lines_add(lines, LINE_PLAIN, "Python %s, mode %s, %s, thresholds %d %d %d", h->python,
		  gcpreload_mode_name(h->mode), frozen, h->thresholds[0], h->thresholds[1],
		  h->thresholds[2]);
}

static void add_shares(struct lines *lines, const struct snapshot *s, const struct model_process *p)
{
	static const char *const names[] = { "start-up", "stock", "tuned" };
	char text[512] = "", share[32], length[64];
	int period;

	if (p && p->share_now >= 0)
		snprintf(text, sizeof text, " %s now",
			 text_share(share, sizeof share, p->share_now));
	for (period = GCPRELOAD_PERIODS - 1; period >= 0; period--) {
		if (!s->periods[period].length_ns)
			continue;
		text_share(share, sizeof share, snapshot_share(&s->periods[period]));
		text_duration(length, sizeof length, (double)s->periods[period].length_ns / 1e9);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s %s %s (%s)",
			 *text ? "," : "", share, names[period], length);
	}
	if (*text)
		lines_add(lines, LINE_PLAIN, "GC took%s", text);
}

static void duration_cell(struct table *table, uint64_t ns, bool any)
{
	char text[64];

	table_cell(table, any ? text_duration(text, sizeof text, (double)ns / 1e9) : "-");
}

static void add_generations(struct lines *lines, const struct snapshot *s,
			    const struct model_process *p)
{
	static const struct column columns[] = {
		{ "GEN", 1, 0 },	 { "   PER S", 1, 0 },	 { "  NOW %", 1, 0 },
		{ "COLLECTIONS", 1, 0 }, { " COLLECTED", 1, 0 }, { "     P50", 1, 0 },
		{ "     P99", 1, 0 },	 { " LONGEST", 1, 0 },
	};
	const struct gcpreload_series *series;
	struct table table;
	char text[64];
	uint64_t n, collected;
	unsigned g, c;

	table_start(&table, columns, sizeof columns / sizeof *columns);
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
		series = &s->periods[snapshot_period_now(s)].generations[g];
		n = s->header.inherited[g].collections;
		collected = s->header.inherited[g].collected;
		for (c = 0; c < GCPRELOAD_CAUSES; c++) {
			n += s->gc[g][c].collections;
			collected += s->gc[g][c].collected;
		}
		table_cellf(&table, "%u", g);
		table_cell(&table, lines_number(text, sizeof text, p ? p->per_second[g] : -1));
		table_cell(&table,
			   lines_number(text, sizeof text, p ? p->share_now_of[g] * 100 : -1));
		table_cellf(&table, "%" PRIu64, n);
		table_cellf(&table, "%" PRIu64, collected);
		duration_cell(&table, gcpreload_histogram_quantile(series, .5),
			      series->collections);
		duration_cell(&table, gcpreload_histogram_quantile(series, .99),
			      series->collections);
		duration_cell(&table, series->max_ns, series->collections);
	}
	lines_add_table(lines, &table);
}

/* Mode idle: what a request could meet, and what it could not. */
static void add_idle(struct lines *lines, const struct snapshot_period *period)
{
	char a[64], b[64], c[64], d[64];

	if (!period->idle.collections)
		return;
	lines_add(lines, LINE_PLAIN, "In requests %s, longest %s; while waiting %s, longest %s",
		  text_duration(a, sizeof a, (double)period->in_requests.sum_ns / 1e9),
		  text_duration(b, sizeof b, (double)period->in_requests.max_ns / 1e9),
		  text_duration(c, sizeof c, (double)period->idle.sum_ns / 1e9),
		  text_duration(d, sizeof d, (double)period->idle.max_ns / 1e9));
}

/* Mode concurrent. */
static void add_marks(struct lines *lines, const struct snapshot *s)
{
	struct marks_sum sum = { 0 };
	char text[600], *line, *rest;

	marks_add(&sum, &s->header);
	marks_told(text, sizeof text, &sum, &s->periods[GCPRELOAD_PERIOD_TUNED]);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		lines_add(lines, LINE_PLAIN, "%s", line);
}

static void add_events(struct lines *lines, const struct look *look)
{
	static const struct column columns[] = {
		{ "TIME        ", 0, 0 }, { "GEN", 1, 0 },	  { "CAUSE    ", 0, 0 },
		{ "    TOOK", 1, 0 },	  { " COLLECTED", 1, 0 }, { "PERIOD  ", 0, 0 },
	};
	const struct gcpreload_slot *e;
	struct table table;
	char text[64];
	size_t i;

	if (!look->n_events) {
		lines_add(lines, LINE_DIM, "No collections yet");
		return;
	}
	lines_add(lines, LINE_PLAIN, "%s", "Last collections");
	table_start(&table, columns, sizeof columns / sizeof *columns);
	for (i = 0; i < look->n_events; i++) {
		e = &look->events[i];
		table_cell(&table,
			   text_clock(text, sizeof text,
				      (int64_t)(e->start_ns + (uint64_t)look->to_realtime_ns)));
		table_cellf(&table, "%u", e->generation);
		table_cell(&table, gcpreload_cause_name(e->cause));
		duration_cell(&table, e->duration_ns, true);
		table_cellf(&table, "%" PRIu64, e->collected);
		table_cell(&table, gcpreload_period_name(e->period));
	}
	lines_add_table(lines, &table);
}

void render_process(struct lines *lines, const struct look *look, const struct render_paper *paper)
{
	static const char *const labels[] = { "gen 0  ", "gen 1  ", "gen 2  " };
	const struct model_process *p = look_opened(look);
	const struct snapshot *s = &look->snapshot;
	const struct snapshot_period *period = &s->periods[snapshot_period_now(s)];
	/* Bars as high as the screen lets them be. */
	size_t height = paper->rows >= 40 ? 3 : paper->rows >= 30 ? 2 : 1;

	if (!look->found)
		lines_add(lines, LINE_BAD, "the measurements were removed%s",
			  s->name ? "; these are the last ones" : "");
	if (!s->name)
		return;
	if (s->why) {
		lines_add(lines, LINE_BAD, "%s/%s: cannot be read: %s", s->dir, s->name, s->why);
		return;
	}
	add_identity(lines, s);
	add_shares(lines, s, p);
	add_idle(lines, period);
	add_marks(lines, s);
	lines_add(lines, LINE_PLAIN, "%s", "");
	add_generations(lines, s, p);
	lines_add(lines, LINE_DIM, "counts as in gc.get_stats(); durations of period %s",
		  gcpreload_period_name(snapshot_period_now(s)));
	lines_add(lines, LINE_PLAIN, "%s", "");
	render_histogram(lines, period->generations, labels, GCPRELOAD_GENERATIONS, height, paper);
	lines_add(lines, LINE_PLAIN, "%s", "");
	add_events(lines, look);
}

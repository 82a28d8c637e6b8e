/* SPDX-License-Identifier: MIT */
/* The list of processes, the help, and the frame around them. */
#include "cli/top/render.h"

#include <inttypes.h>
#include <string.h>

#include "cli/text.h"

#define WARM 0.01 /* share of the time in collections */
#define HOT  0.05

#define KEYS	  "q quit  Enter open  s sort  p pause  +/- interval  e exited  h help"
#define TEXT_KEYS "Esc back  up/down scroll  p pause  +/- interval  h help"

/* ---- the list ---- */

enum column_name { PID, STATE, MODE, NOW, SHARE, LONGEST, P99_0, P99_1, P99_2, FROZEN, COMMAND };

struct list_column {
	const char *title;
	size_t from; /* shown on so many columns of a terminal, and more */
	int width;   /* 0: the rest */
	int wide;    /* the same where there is room */
	bool right;  /* aligned to the right */
	int sort;    /* enum model_sort, or -1 */
};

static const struct list_column list_columns[] = {
	[PID] = { "PID", 0, 7, 7, true, MODEL_BY_PID },
	[STATE] = { "STATE", 32, 10, 13, false, -1 },
	[MODE] = { "MODE", 56, 7, 10, false, -1 },
	[NOW] = { "NOW", 0, 4, 6, true, MODEL_BY_NOW },
	[SHARE] = { "ALL", 46, 4, 6, true, MODEL_BY_SHARE },
	[LONGEST] = { "MAX", 40, 4, 6, true, MODEL_BY_LONGEST },
	[P99_0] = { "G0", 78, 4, 6, true, -1 },
	[P99_1] = { "G1", 78, 4, 6, true, -1 },
	[P99_2] = { "G2", 62, 4, 6, true, MODEL_BY_P99 },
	[FROZEN] = { "FROZEN", 70, 7, 9, true, MODEL_BY_FROZEN },
	[COMMAND] = { "COMMAND", 0, 0, 0, false, MODEL_BY_COMMAND },
};

#define N_COLUMNS   (sizeof list_columns / sizeof *list_columns)
#define WIDE_ENOUGH 100

/* What stands above several columns: the first of the texts that has room. */
static const struct {
	enum column_name first, last;
	const char *texts[3];
} groups[] = {
	{ NOW, SHARE, { "GC time %", "GC %", "%" } },
	{ LONGEST, P99_2, { "pauses, ms; p99 of", "pause ms", "ms" } },
};

/* A pipe has no edge: there every column is shown, with room. */
static int width_of(enum column_name name, const struct render_paper *paper)
{
	const struct list_column *column = &list_columns[name];

	if (paper->columns && paper->columns < column->from)
		return -1;
	return !paper->columns || paper->columns >= WIDE_ENOUGH ? column->wide : column->width;
}

/* Large counts in six columns. */
static void count_text(char *out, size_t size, int64_t count)
{
	if (count < 0)
		snprintf(out, size, "-");
	else if (count < 1000000)
		snprintf(out, size, "%" PRId64, count);
	else
		snprintf(out, size, "%.*fM", text_decimals((double)count / 1e6),
			 (double)count / 1e6);
}

/* 0 is what there was none of. */
static double render_milliseconds(uint64_t ns)
{
	return ns ? (double)ns / 1e6 : -1;
}

/* There is little room, and what the interpreter is called says nothing. */
static const char *without_python(const char *command)
{
	const char *next = strchr(command, ' ');

	return strncmp(command, "python", 6) == 0 && next && next[1] ? next + 1 : command;
}

static void command_text(char *out, size_t size, const struct model_process *p)
{
	char text[sizeof p->command];
	const char *command = without_python(text_command(text, sizeof text, p->command));

	if (p->why)
		snprintf(out, size, "%s: %s", p->name, p->why);
	else if (*p->service)
		snprintf(out, size, "[%s] %s", p->service, command);
	else
		snprintf(out, size, "%s", *command ? command : "-");
}

static void render_cell(char *out, size_t size, const struct model_process *p,
			enum column_name name)
{
	switch (name) {
	case PID:
		snprintf(out, size, p->why ? "-" : "%d", p->pid);
		break;
	case STATE:
		snprintf(out, size, "%s%s", p->state, p->due ? " due" : "");
		break;
	case MODE:
		snprintf(out, size, "%s", p->mode);
		break;
	case NOW:
		lines_number(out, size, p->share_now * 100);
		break;
	case SHARE:
		lines_number(out, size, p->share * 100);
		break;
	case LONGEST:
		lines_number(out, size, render_milliseconds(p->longest_ns));
		break;
	case P99_0:
	case P99_1:
	case P99_2:
		lines_number(out, size, render_milliseconds(p->p99_ns[name - P99_0]));
		break;
	case FROZEN:
		count_text(out, size, p->frozen);
		break;
	case COMMAND:
		command_text(out, size, p);
		break;
	}
}

/* Adds a cell to a row that is being made, if its column is shown. */
static void render_append(char *row, size_t size, char *text, enum column_name name,
			  const struct render_paper *paper)
{
	int width = width_of(name, paper);
	size_t n = strlen(row);

	if (width < 0)
		return;
	if (!width) {
		snprintf(row + n, size - n, "%s", text);
		return;
	}
	text_shorten(text, (size_t)width);
	snprintf(row + n, size - n, list_columns[name].right ? "%*s " : "%-*s ", width, text);
}

static enum line_kind kind_of(const struct model_process *p)
{
	double share = p->share_now >= 0 ? p->share_now : p->share;

	if (p->why)
		return LINE_BAD;
	if (!p->alive)
		return LINE_DIM;
	return share >= HOT ? LINE_HOT : share >= WARM ? LINE_WARM : LINE_PLAIN;
}

static void add_row(struct lines *lines, const struct model_process *p, bool selected,
		    const struct render_paper *paper)
{
	char row[1024] = "", text[512];
	size_t i;

	for (i = 0; i < N_COLUMNS; i++) {
		render_cell(text, sizeof text, p, i);
		render_append(row, sizeof row, text, i, paper);
	}
	lines_add(lines, selected ? LINE_SELECTED : kind_of(p), "%s", row);
}

static void add_titles(struct lines *lines, enum model_sort sort, const struct render_paper *paper)
{
	char row[1024] = "", text[64];
	bool sorted, right;
	size_t i;

	for (i = 0; i < N_COLUMNS; i++) {
		sorted = list_columns[i].sort == (int)sort;
		right = list_columns[i].right;
		snprintf(text, sizeof text, "%s%s%s", sorted && right ? "*" : "",
			 list_columns[i].title, sorted && !right ? "*" : "");
		render_append(row, sizeof row, text, i, paper);
	}
	lines_add(lines, LINE_TITLES, "%s", row);
}

static void add_groups(struct lines *lines, const struct render_paper *paper)
{
	char row[256];
	size_t i, g, t, at, begin, end, room, length, used = 0;
	int width;

	memset(row, ' ', sizeof row);
	for (g = 0; g < sizeof groups / sizeof *groups; g++) {
		at = begin = end = 0;
		for (i = 0; i <= groups[g].last; i++) {
			if (i == groups[g].first)
				begin = at;
			width = width_of(i, paper);
			if (width < 0)
				continue;
			at += (size_t)width + 1;
			if (i >= groups[g].first)
				end = at - 1;
		}
		room = end > begin ? end - begin : 0;
		for (t = 0; t < 3 && strlen(groups[g].texts[t]) > room; t++)
			;
		if (t == 3)
			continue;
		length = strlen(groups[g].texts[t]);
		memcpy(row + end - length, groups[g].texts[t], length);
		used = end;
	}
	lines_add(lines, LINE_TITLES, "%.*s", (int)used, row);
}

/* Rows of the view from first on. */
static void add_list(struct lines *lines, const struct view *view, size_t first, size_t n,
		     bool select, const struct render_paper *paper)
{
	size_t i;

	for (i = first; i < view->n && i - first < n; i++)
		add_row(lines, view->order[i], select && i == view->selected, paper);
}

void render_list(struct lines *lines, const struct view *view, const struct render_paper *paper)
{
	add_groups(lines, paper);
	add_titles(lines, view->sort, paper);
	add_list(lines, view, 0, view->n, false, paper);
	lines_fit(lines, paper->columns, paper->utf8);
}

/* ---- the help ---- */

static const char *const help[] = {
	"up, down, j, k     move; also Page Up, Page Down, Home, End",
	"Enter              show one process: rates, pauses, last collections",
	"Esc, q             back; q in the list quits",
	"s, >  and  <       sort by the next, the previous column (marked *)",
	"+, -               longer, shorter refresh interval",
	"p                  pause, resume",
	"e                  hide or show exited processes",
	"h, ?               this help",
	"",
	"NOW      % of time in all collections since the last refresh",
	"ALL      the same for the current period of the process: start-up, stock",
	"         (the interpreter's own collector) or tuned",
	"MAX      longest collection in requests of that period, in ms",
	"G0 G1 G2 99th percentile of the collections of that generation, in ms",
	"FROZEN   objects that the collector skips, counted at the freeze",
};

/* ---- the screen ---- */

static const char *render_often(char *out, size_t size, const struct view *view)
{
	if (view->paused)
		snprintf(out, size, "paused");
	else
		snprintf(out, size, "every %g s", view->seconds);
	return out;
}

static void add_head(struct lines *lines, const struct view *view, const struct look *look)
{
	char clock[32], text[96];
	size_t i, alive = 0, unreadable = 0;

	for (i = 0; i < look->now.n; i++) {
		alive += look->now.list[i].alive;
		unreadable += look->now.list[i].why != NULL;
	}
	text_clock(clock, sizeof clock, (int64_t)look->now.ns + look->to_realtime_ns);
	lines_add(lines, LINE_HEAD, "gcpreload top  %.8s  %s  %zu alive, %zu exited%s", clock,
		  render_often(text, sizeof text, view), alive, look->now.n - alive - unreadable,
		  view->hide_exited ? " (hidden)" : "");
}

static void add_message(struct lines *lines, const struct look *look)
{
	if (look->message)
		lines_add(lines, LINE_BAD, "%s", look->message);
	else if (!look->now.n)
		lines_add(lines, LINE_PLAIN,
			  "%s: no measurements; a process has them once it is ready", look->where);
}

static void add_text(struct lines *lines, struct view *view, const struct look *look, size_t rows,
		     const struct render_paper *paper)
{
	struct lines text = { 0 };
	size_t i;

	if (view->help)
		for (i = 0; i < sizeof help / sizeof *help; i++)
			lines_add(&text, LINE_PLAIN, "%s", help[i]);
	else
		render_process(&text, look, paper);
	lines_keep(&text, view_fit_text(view, text.n, rows), rows);
	lines_move(lines, &text);
}

void render_screen(struct lines *lines, struct view *view, const struct look *look,
		   const struct render_paper *paper)
{
	bool text = view->help || view->opened, keys = paper->rows > 2;
	size_t rows = paper->rows - keys, first;

	if (rows > 3)
		add_head(lines, view, look);
	if (!text && rows > 7)
		add_groups(lines, paper);
	if (!text && rows > 1)
		add_titles(lines, view->sort, paper);
	if (lines->n + 1 < rows)
		add_message(lines, look);
	rows -= lines->n;
	if (text) {
		add_text(lines, view, look, rows, paper);
	} else {
		first = view_fit_list(view, rows);
		add_list(lines, view, first, rows, true, paper);
	}
	while (lines->n + keys < paper->rows)
		lines_add(lines, LINE_PLAIN, "%s", "");
	if (keys)
		lines_add(lines, LINE_KEYS, "%s", text ? TEXT_KEYS : KEYS);
	lines_fit(lines, paper->columns, paper->utf8);
}

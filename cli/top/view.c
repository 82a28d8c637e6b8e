/* SPDX-License-Identifier: MIT */
#include "cli/top/view.h"

#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"

#define SHORTEST 0.1
#define LONGEST	 3600

/* What + and - go through. */
static const double steps[] = { SHORTEST, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 600, LONGEST };

#define N_STEPS (sizeof steps / sizeof *steps)

static void select_row(struct view *view, size_t row)
{
	if (!view->n)
		return;
	view->selected = row < view->n ? row : view->n - 1;
	free(view->selected_dir);
	free(view->selected_name);
	view->selected_dir = memory_need(strdup(view->order[view->selected]->dir));
	view->selected_name = memory_need(strdup(view->order[view->selected]->name));
}

void view_arrange(struct view *view, const struct look *look)
{
	const struct model_process *p;
	size_t i;

	view->order = memory_need(realloc(view->order, (look->now.n + 1) * sizeof *view->order));
	view->n = 0;
	for (i = 0; i < look->now.n; i++) {
		p = &look->now.list[i];
		if (p->alive || p->why || !view->hide_exited)
			view->order[view->n++] = p;
	}
	model_sort(view->order, view->n, view->sort);
	for (i = 0; i < view->n && view->selected_name; i++) {
		p = view->order[i];
		if (strcmp(p->name, view->selected_name) == 0 &&
		    strcmp(p->dir, view->selected_dir) == 0) {
			view->selected = i;
			return;
		}
	}
	/* It is gone, or nobody has selected anything yet: stay where we are. */
	if (view->n && view->selected >= view->n)
		view->selected = view->n - 1;
}

size_t view_fit_list(struct view *view, size_t rows)
{
	view->rows = rows;
	if (view->selected < view->first)
		view->first = view->selected;
	if (rows && view->selected >= view->first + rows)
		view->first = view->selected - rows + 1;
	if (view->n <= rows)
		view->first = 0;
	else if (view->first > view->n - rows)
		view->first = view->n - rows;
	return view->first;
}

size_t view_fit_text(struct view *view, size_t lines, size_t rows)
{
	view->text_lines = lines;
	view->text_rows = rows;
	if (lines <= rows)
		view->text_first = 0;
	else if (view->text_first > lines - rows)
		view->text_first = lines - rows;
	return view->text_first;
}

/* Where a key leads from a place, of n places. */
static size_t view_moved(enum view_key key, size_t from, size_t n, size_t page)
{
	size_t last = n ? n - 1 : 0;

	switch (key) {
	case VIEW_UP:
		return from ? from - 1 : 0;
	case VIEW_DOWN:
		return from < last ? from + 1 : last;
	case VIEW_PAGE_UP:
		return from > page ? from - page : 0;
	case VIEW_PAGE_DOWN:
		return from + page < last ? from + page : last;
	case VIEW_FIRST:
		return 0;
	case VIEW_LAST:
		return last;
	default:
		return from;
	}
}

static void view_move(struct view *view, enum view_key key)
{
	/* view_fit_text() brings back what is beyond the end. */
	if (view->help || view->opened)
		view->text_first =
		    view_moved(key, view->text_first, view->text_lines, view->text_rows);
	else
		select_row(view, view_moved(key, view->selected, view->n, view->rows));
}

static void change_seconds(struct view *view, bool slower)
{
	size_t i;

	if (slower) {
		for (i = 0; i < N_STEPS - 1 && steps[i] <= view->seconds; i++)
			;
	} else {
		for (i = N_STEPS - 1; i > 0 && steps[i] >= view->seconds; i--)
			;
	}
	view->seconds = steps[i];
}

static enum view_wish view_back(struct view *view, struct look *look, bool may_end)
{
	view->text_first = 0;
	if (view->help) {
		view->help = false;
	} else if (view->opened) {
		view->opened = false;
		look_open(look, NULL, NULL);
	} else if (may_end) {
		return VIEW_END;
	}
	return VIEW_DRAW;
}

static enum view_wish view_enter(struct view *view, struct look *look)
{
	if (view->help)
		return view_back(view, look, false);
	if (view->opened || !view->n)
		return VIEW_DRAW;
	select_row(view, view->selected);
	look_open(look, view->selected_dir, view->selected_name);
	view->opened = true;
	view->text_first = 0;
	return VIEW_LOOK;
}

static enum view_wish view_rearrange(struct view *view, const struct look *look)
{
	view_arrange(view, look);
	return VIEW_DRAW;
}

enum view_wish view_press(struct view *view, struct look *look, enum view_key key)
{
	switch (key) {
	case VIEW_ENTER:
		return view_enter(view, look);
	case VIEW_BACK:
	case VIEW_QUIT:
		return view_back(view, look, key == VIEW_QUIT);
	case VIEW_SORT_NEXT:
		view->sort = (view->sort + 1) % MODEL_SORTS;
		return view_rearrange(view, look);
	case VIEW_SORT_PREVIOUS:
		view->sort = (view->sort + MODEL_SORTS - 1) % MODEL_SORTS;
		return view_rearrange(view, look);
	case VIEW_EXITED:
		view->hide_exited = !view->hide_exited;
		return view_rearrange(view, look);
	case VIEW_PAUSE:
		view->paused = !view->paused;
		return view->paused ? VIEW_DRAW : VIEW_LOOK;
	case VIEW_FASTER:
	case VIEW_SLOWER:
		change_seconds(view, key == VIEW_SLOWER);
		return VIEW_DRAW;
	case VIEW_HELP:
		view->help = !view->help;
		view->text_first = 0;
		return VIEW_DRAW;
	case VIEW_NO_KEY:
		return VIEW_DRAW;
	case VIEW_HANG_UP:
		return VIEW_END;
	default:
		view_move(view, key);
		return VIEW_DRAW;
	}
}

int view_seconds(struct view *view, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= SHORTEST && seconds <= LONGEST))
		return -1;
	view->seconds = seconds;
	return 0;
}

void view_free(struct view *view)
{
	free(view->order);
	free(view->selected_dir);
	free(view->selected_name);
	memset(view, 0, sizeof *view);
}

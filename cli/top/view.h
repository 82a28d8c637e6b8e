/* SPDX-License-Identifier: MIT */
/* What a person has chosen to see, and what a key does to it. */
#ifndef GCPRELOAD_CLI_TOP_VIEW_H
#define GCPRELOAD_CLI_TOP_VIEW_H

#include "cli/top/look.h"

enum view_key {
	VIEW_NO_KEY,
	VIEW_UP,
	VIEW_DOWN,
	VIEW_PAGE_UP,
	VIEW_PAGE_DOWN,
	VIEW_FIRST,
	VIEW_LAST,
	VIEW_ENTER,
	VIEW_BACK,
	VIEW_QUIT, /* back, too, where there is something to go back to */
	VIEW_SORT_NEXT,
	VIEW_SORT_PREVIOUS,
	VIEW_PAUSE,
	VIEW_FASTER,
	VIEW_SLOWER,
	VIEW_EXITED,
	VIEW_HELP,
	VIEW_HANG_UP /* no key: none will come any more */
};

/* What a key asks for. */
enum view_wish { VIEW_DRAW, VIEW_LOOK, VIEW_END };

struct view {
	double seconds; /* between two looks */
	enum model_sort sort;
	bool paused;
	bool hide_exited;
	bool opened;
	bool help;

	/* The list as it is shown: of a look, until the next one. */
	const struct model_process **order;
	size_t n;
	size_t selected;
	char *selected_dir, *selected_name; /* it stays selected wherever it goes */
	size_t first;			    /* line that is shown first */
	size_t rows;			    /* lines that there is room for */

	/* The same of a text: the opened process, the help. */
	size_t text_first, text_lines, text_rows;
};

/* Filters and sorts; call it after each look. */
void view_arrange(struct view *view, const struct look *look);

/* Where the list, or a text of so many lines, begins on a screen with room for so many. */
size_t view_fit_list(struct view *view, size_t rows);
size_t view_fit_text(struct view *view, size_t lines, size_t rows);

enum view_wish view_press(struct view *view, struct look *look, enum view_key key);

/* The seconds of a text; returns 0, or -1 where they are none that can be used. */
int view_seconds(struct view *view, const char *text);

void view_free(struct view *view);

#endif

/* SPDX-License-Identifier: MIT */
/* A look as lines of text. Pure: the same look and the same view make the same lines. */
#ifndef GCPRELOAD_CLI_TOP_RENDER_H
#define GCPRELOAD_CLI_TOP_RENDER_H

#include "cli/top/lines.h"
#include "cli/top/view.h"

struct render_paper {
	size_t columns; /* 0: no edge */
	size_t rows;
	bool utf8;
};

/* The list of processes with its titles, all rows of the view: what -1 prints. */
void render_list(struct lines *lines, const struct view *view, const struct render_paper *paper);

/* A screen, of not more lines than there is room for. */
void render_screen(struct lines *lines, struct view *view, const struct look *look,
		   const struct render_paper *paper);

/* A process of its own: render_process.c. */
void render_process(struct lines *lines, const struct look *look, const struct render_paper *paper);

/* The durations of n series, a row of bars each, over one axis; labels are put before them. */
void render_histogram(struct lines *lines, const struct gcpreload_series *series,
		      const char *const *labels, size_t n, size_t height,
		      const struct render_paper *paper);

#endif

/* SPDX-License-Identifier: MIT */
/* Lines of text for a screen or for a pipe. No line has a byte that could steer a terminal. */
#ifndef GCPRELOAD_CLI_TOP_LINES_H
#define GCPRELOAD_CLI_TOP_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/table.h"

/* What a line is; the screen knows how that looks. */
enum line_kind {
	LINE_PLAIN,
	LINE_HEAD,
	LINE_TITLES,
	LINE_SELECTED,
	LINE_WARM, /* collections take much time */
	LINE_HOT,  /* very much */
	LINE_DIM,
	LINE_BAD,
	LINE_BARS,
	LINE_KEYS,
	LINE_KINDS
};

struct line {
	char *text;
	enum line_kind kind;
};

struct lines {
	struct line *list;
	size_t n, room;
};

/* Adds a line; what would steer a terminal is escaped. */
void lines_add(struct lines *lines, enum line_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds the rows of a table, the first one as titles, and frees them. */
void lines_add_table(struct lines *lines, struct table *table);

/* Leaves n lines from first on. */
void lines_keep(struct lines *lines, size_t first, size_t n);

/* Moves the lines of from to the end of into. */
void lines_move(struct lines *into, struct lines *from);

/* Cuts every line to so many columns (0: none is cut). Without utf8, and where the locale says that
 * a character cannot be shown, there is a question mark. */
void lines_fit(struct lines *lines, size_t columns, bool utf8);

void lines_print(const struct lines *lines, FILE *out);
void lines_free(struct lines *lines);

/* A share in percent, or milliseconds, in four columns: "<.01", "0.52", "12.3", "1234". */
char *lines_number(char *out, size_t size, double number);

#endif

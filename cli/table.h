/* SPDX-License-Identifier: MIT */
/* Rows of texts in aligned columns. */
#ifndef GCPRELOAD_CLI_TABLE_H
#define GCPRELOAD_CLI_TABLE_H

#include <stdio.h>

struct column {
	const char *title;
	int right;   /* aligned to the right */
	int at_most; /* characters, 0 for any number; longer texts end in ".." */
};

struct table {
	const struct column *columns;
	size_t n_columns;
	char **cells; /* row by row; the titles are the first row */
	size_t n_cells;
	size_t room;
};

void table_start(struct table *table, const struct column *columns, size_t n_columns);

/* Adds the next cell; the text is escaped for terminals. */
void table_cell(struct table *table, const char *text);
void table_cellf(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints the rows and frees them. With whole, texts are never cut. */
void table_print(struct table *table, FILE *out, int whole);

#endif

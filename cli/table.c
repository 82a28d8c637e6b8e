/* SPDX-License-Identifier: MIT */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "cli/text.h"

void table_start(struct table *table, const struct column *columns, size_t n_columns)
{
	size_t i;

	memset(table, 0, sizeof *table);
	table->columns = columns;
	table->n_columns = n_columns;
	for (i = 0; i < n_columns; i++)
		table_cell(table, columns[i].title);
}

void table_cell(struct table *table, const char *text)
{
	char safe[2048];

	if (table->n_cells == table->room) {
		table->room = table->room ? 2 * table->room : 64;
		table->cells =
		    memory_need(realloc(table->cells, table->room * sizeof *table->cells));
	}
	table->cells[table->n_cells++] = memory_need(strdup(text_safe(safe, sizeof safe, text)));
}

void table_cellf(struct table *table, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	table_cell(table, text);
}

static void print_cell(const char *text, size_t width, int right, int last, FILE *out)
{
	int gap = (int)(width - text_width(text));

	if (right)
		fprintf(out, "%*s%s", gap, "", text);
	else if (last)
		fputs(text, out);
	else
		fprintf(out, "%s%*s", text, gap, "");
	fputs(last ? "\n" : "  ", out);
}

void table_print(struct table *table, FILE *out, int whole)
{
	size_t n = table->n_columns, i, width, *widths = memory_need(calloc(n, sizeof *widths));

	for (i = 0; i < table->n_cells; i++) {
		if (!whole && table->columns[i % n].at_most)
			text_shorten(table->cells[i], (size_t)table->columns[i % n].at_most);
		width = text_width(table->cells[i]);
		if (width > widths[i % n])
			widths[i % n] = width;
	}
	for (i = 0; i < table->n_cells; i++) {
		print_cell(table->cells[i], widths[i % n], table->columns[i % n].right,
			   i % n == n - 1, out);
		free(table->cells[i]);
	}
	free(table->cells);
	free(widths);
	memset(table, 0, sizeof *table);
}

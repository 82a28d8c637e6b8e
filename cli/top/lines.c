/* SPDX-License-Identifier: MIT */
#include "cli/top/lines.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cli/memory.h"
#include "cli/text.h"

/* The longest form of a byte that steers terminals: \xNN. */
#define ESCAPED 4

static void lines_append(struct lines *lines, enum line_kind kind, char *text)
{
	if (lines->n == lines->room) {
		lines->room = lines->room ? 2 * lines->room : 64;
		lines->list = memory_need(realloc(lines->list, lines->room * sizeof *lines->list));
	}
	lines->list[lines->n++] = (struct line){ text, kind };
}

void lines_add(struct lines *lines, enum line_kind kind, const char *format, ...)
{
	char *text = NULL, *safe;
	va_list args;
	size_t size;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	memory_need(n < 0 ? NULL : text);
	size = ESCAPED * (size_t)n + 1;
	safe = memory_need(malloc(size));
	lines_append(lines, kind, text_safe(safe, size, text));
	free(text);
}

void lines_add_table(struct lines *lines, struct table *table)
{
	char *text = NULL, *at, *end;
	enum line_kind kind = LINE_TITLES;
	size_t size = 0;
	FILE *out = memory_need(open_memstream(&text, &size));

	table_print(table, out, 1);
	memory_need(fclose(out) == 0 ? text : NULL);
	for (at = text; (end = strchr(at, '\n')); at = end + 1, kind = LINE_PLAIN)
		lines_append(lines, kind, memory_need(strndup(at, (size_t)(end - at))));
	free(text);
}

void lines_keep(struct lines *lines, size_t first, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < lines->n; i++) {
		if (i < first || i - first >= n)
			free(lines->list[i].text);
		else
			lines->list[kept++] = lines->list[i];
	}
	lines->n = kept;
}

void lines_move(struct lines *into, struct lines *from)
{
	size_t i;

	for (i = 0; i < from->n; i++)
		lines_append(into, from->list[i].kind, from->list[i].text);
	from->n = 0;
	lines_free(from);
}

/* In place: what comes instead is never longer. */
static void lines_showable(char *text, bool utf8)
{
	size_t n = strlen(text), length;
	char *out = text;
	uint32_t c;

	for (; n; text += length, n -= length) {
		length = utf8_next(text, n, &c);
		if (c < 0x80 || (utf8 && wcwidth((wchar_t)c) >= 0)) {
			memmove(out, text, length);
			out += length;
		} else {
			*out++ = '?';
		}
	}
	*out = '\0';
}

void lines_fit(struct lines *lines, size_t columns, bool utf8)
{
	size_t i;

	for (i = 0; i < lines->n; i++) {
		lines_showable(lines->list[i].text, utf8);
		if (columns)
			text_shorten(lines->list[i].text, columns);
	}
}

void lines_print(const struct lines *lines, FILE *out)
{
	size_t i;

	for (i = 0; i < lines->n; i++)
		fprintf(out, "%s\n", lines->list[i].text);
}

void lines_free(struct lines *lines)
{
	size_t i;

	for (i = 0; i < lines->n; i++)
		free(lines->list[i].text);
	free(lines->list);
	memset(lines, 0, sizeof *lines);
}

char *lines_number(char *out, size_t size, double number)
{
	if (!(number >= 0))
		snprintf(out, size, "-");
	else if (number == 0)
		snprintf(out, size, "0");
	else if (number < 0.01)
		snprintf(out, size, "<.01");
	else if (number < 9999.5)
		snprintf(out, size, "%.*f", text_decimals(number), number);
	else
		snprintf(out, size, "%.0fk", number / 1000);
	return out;
}

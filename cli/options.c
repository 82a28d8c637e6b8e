/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/text.h"

#define WIDTH 80

/* The end of a word; with groups, of what is in brackets, which stays together where it fits. */
static const char *options_word(const char *text, int room, bool groups)
{
	const char *c, *end = text + strcspn(text, " \n");
	int depth = 0;

	for (c = text; groups && *c && *c != '\n' && (*c != ' ' || depth > 0); c++)
		depth += (*c == '[' || *c == '(') - (*c == ']' || *c == ')');
	return groups && c - text <= room ? c : end;
}

/* Prints the words up to a newline, or the end, and breaks the line before it is too long. Returns
 * what comes behind. */
static const char *options_print_line(const char *text, int indent, bool groups)
{
	int column = indent, n;

	while (*text && *text != '\n') {
		n = (int)(options_word(text, WIDTH - indent, groups) - text);
		if (column > indent && column + 1 + n > WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			column += printf(" ");
		}
		column += printf("%.*s", n, text);
		text += n + (text[n] == ' ');
	}
	puts("");
	return *text ? text + 1 : text;
}

static void options_usage(const struct command *command)
{
	const char *usage = command->usage, *begin = "usage:";

	do {
		int indent = printf("%s gcpreload %s ", begin, command->name);

		usage = options_print_line(usage, indent, true);
		begin = "      ";
	} while (*usage);
}

/* A paragraph is filled; a line that begins with a space stays as it is, and so does an empty one.
 */
static void options_text(const char *text)
{
	char paragraph[2048];
	size_t n;

	while (*text) {
		for (n = 0; *text && *text != '\n' && *text != ' ' && n + 2 < sizeof paragraph;) {
			size_t line = strcspn(text, "\n"), room = sizeof paragraph - n - 2;

			line = line < room ? line : room;
			memcpy(paragraph + n, text, line);
			n += line;
			text += line;
			if (*text == '\n')
				text++;
			paragraph[n++] = ' ';
		}
		if (n) {
			paragraph[n - 1] = '\0';
			options_print_line(paragraph, 0, false);
			continue;
		}
		n = strcspn(text, "\n");
		printf("%.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

void options_help(const struct command *command)
{
	options_usage(command);
	printf("\n%s\n\n", command->summary);
	options_text(command->help);
}

int options_wrong(const struct command *command, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	text_complain("%s: %s; see: gcpreload %s --help", command->name, text, command->name);
	return EXIT_USAGE;
}

/* getopt says of a long option only where it stood, of a short one only its letter. */
static int options_unknown(struct options *o)
{
	const char *names[64], *at = o->argv[optind - 1], *near = NULL;
	char word[64];
	size_t n = 0;

	if (optopt && strncmp(at, "--", 2) != 0)
		return options_wrong(o->command, "-%c: unknown option", optopt);
	if (optopt)
		return options_wrong(o->command, "%s: this option takes no argument", at);
	snprintf(word, sizeof word, "%.*s", (int)strcspn(at + 2, "="), at + 2);
	for (; o->longs[n].name && n < 64; n++)
		names[n] = o->longs[n].name;
	near = text_nearest(word, names, n);
	if (near)
		return options_wrong(o->command, "--%s: unknown option (did you mean --%s?)", word,
				     near);
	return options_wrong(o->command, "--%s: unknown option", word);
}

int options_next(struct options *o)
{
	int c;

	if (!o->begun) {
		o->begun = 1;
		optind = 0; /* glibc's way to begin anew */
		opterr = 0;
	}
	c = getopt_long(o->argc, o->argv, o->shorts, o->longs, NULL);
	if (c == 'h') {
		if (o->command->help)
			options_help(o->command);
		o->exit = EXIT_FINE;
	} else if (c == ':') {
		o->exit = options_wrong(o->command, "%s: this option requires an argument",
					o->argv[optind - 1]);
	} else if (c == '?') {
		o->exit = options_unknown(o);
	}
	return c;
}

/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/text.h"

void options_help(const struct command *command)
{
	printf("usage: gcpreload %s%s%s\n\n%s\n\n%s", command->name, *command->usage ? " " : "",
	       command->usage, command->summary, command->help);
}

int options_wrong(const struct command *command, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	complain("%s: %s; see: gcpreload %s --help", command->name, text, command->name);
	return EXIT_USAGE;
}

/* getopt says of a long option only where it stood, of a short one only its letter. */
static int options_unknown(struct options *o)
{
	const char *names[64], *at = o->argv[optind - 1], *near = NULL;
	char word[64];
	size_t n = 0;

	if (optopt && strncmp(at, "--", 2) != 0)
		return options_wrong(o->command, "-%c: there is no such option", optopt);
	if (optopt)
		return options_wrong(o->command, "%s: takes no value", at);
	snprintf(word, sizeof word, "%.*s", (int)strcspn(at + 2, "="), at + 2);
	for (; o->longs[n].name && n < 64; n++)
		names[n] = o->longs[n].name;
	near = text_nearest(word, names, n);
	if (near)
		return options_wrong(
		    o->command, "--%s: there is no such option, did you mean --%s?", word, near);
	return options_wrong(o->command, "--%s: there is no such option", word);
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
		o->exit = options_wrong(o->command, "%s: a value is missing", o->argv[optind - 1]);
	} else if (c == '?') {
		o->exit = options_unknown(o);
	}
	return c;
}

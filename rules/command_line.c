/* SPDX-License-Identifier: MIT */
#include "rules/command_line.h"

#include <fnmatch.h>
#include <locale.h>
#include <stddef.h>
#include <string.h>

#include "rules/settings.h"

#define ANCESTORS 8

/* Byte by byte whatever the program's locale, as it is before main. In a locale of several bytes
 * a character, fnmatch() allocates; that of the name "C" is there already. */
static bool glob_matches(const char *glob, const char *line)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = uselocale(plain);
	bool yes = fnmatch(glob, line, 0) == 0;

	uselocale(before);
	return yes;
}

bool command_line_matches(const char *globs, const char *line)
{
	char glob[TYPES_GLOB_MAX];
	size_t length;

	for (;; globs += length + 1) {
		length = strcspn(globs, ",");
		if (length && length < sizeof glob) {
			memcpy(glob, globs, length);
			glob[length] = '\0';
			if (glob_matches(glob, line))
				return true;
		}
		if (!globs[length])
			return false;
	}
}

bool command_line_is_nameless(const char *line)
{
	static const char *const marks[] = {
#define NAMELESS(text) text,
#include "rules/nameless.def"
#undef NAMELESS
	};
	size_t i;

	for (i = 0; i < sizeof marks / sizeof *marks; i++)
		if (strstr(line, marks[i]))
			return true;
	return false;
}

void command_line_of_ancestor(char line[COMMAND_LINE_MAX], pid_t pid, command_line_parent *parent,
			      void *arg)
{
	int i;

	for (i = 0; i < ANCESTORS && (pid = parent(arg, pid, line)) > 0; i++)
		if (!command_line_is_nameless(line))
			return;
	line[0] = '\0';
}

bool settings_match(const struct settings_asker *asker, const char *globs)
{
	const char *ancestor;

	if (command_line_matches(globs, asker->command_line(asker->arg, false)))
		return true;
	ancestor = asker->command_line(asker->arg, true);
	return *ancestor && command_line_matches(globs, ancestor);
}

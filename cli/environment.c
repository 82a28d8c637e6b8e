/* SPDX-License-Identifier: MIT */
#include "cli/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"

#define PREFIX "GCPRELOAD_"

static const char *const helps[] = {
#define SETTING(NAME, field, type, fallback, help) help,
#include "rules/settings.def"
};

char *environment_file_name(char *out, size_t size, const struct settings_row *row)
{
	size_t i;

	for (i = 0; row->name[i] && i < size - 1; i++)
		out[i] = row->name[i] == '_' ? '_' : (char)(row->name[i] | 0x20);
	out[i] = '\0';
	return out;
}

char *environment_option(char *out, size_t size, const struct settings_row *row)
{
	char *p;

	environment_file_name(out, size, row);
	for (p = out; *p; p++)
		if (*p == '_')
			*p = '-';
	return out;
}

char *environment_variable(char *out, size_t size, const struct settings_row *row)
{
	snprintf(out, size, PREFIX "%s", row->name);
	return out;
}

void environment_set(const struct settings_row *row, const char *value)
{
	char name[ENVIRONMENT_NAME];

	environment_variable(name, sizeof name, row);
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

/* Prints words from column on, in lines of 80. */
static void print_folded(const char *text, int column)
{
	int at = column, n;

	while (*text) {
		n = (int)strcspn(text, " ");
		if (at > column && at + 1 + n > 79) {
			printf("\n%*s", column, "");
			at = column;
		} else if (at > column) {
			putchar(' ');
			at++;
		}
		printf("%.*s", n, text);
		at += n;
		text += n;
		text += strspn(text, " ");
	}
	putchar('\n');
}

void environment_help(void)
{
	const struct settings_row *row = settings_rows;
	char option[ENVIRONMENT_NAME], *text;
	size_t i;

	for (i = 0; i < SETTINGS; i++, row++) {
		text = format_text("%s (%s%s%s)", helps[i], row->allowed,
				   *row->fallback ? "; default: " : "", row->fallback);
		printf("  --%-16s ", environment_option(option, sizeof option, row));
		print_folded(text, 21);
		free(text);
	}
}

void environment_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD"), *at = old;
	size_t n = strlen(library);
	char *both;

	if (!old || !*old) {
		setenv("LD_PRELOAD", library, 1);
		return;
	}
	for (; *at; at += strcspn(at, ": ")) {
		at += strspn(at, ": ");
		if (strncmp(at, library, n) == 0 && strchr(": ", at[n]))
			return;
	}
	both = format_text("%s:%s", library, old);
	setenv("LD_PRELOAD", both, 1);
	free(both);
}

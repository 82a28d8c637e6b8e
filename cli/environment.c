/* SPDX-License-Identifier: MIT */
#include "cli/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "cli/text.h"

#define SETTING(name, type, standard, allowed, help)                                               \
	{ "GCPRELOAD_" #name, #type, standard, allowed, help },
const struct setting environment_settings[] = {
#include "rules/settings.def"
};
#undef SETTING

const size_t environment_n_settings = sizeof environment_settings / sizeof environment_settings[0];

#define PREFIX "GCPRELOAD_"

char *environment_option(char *out, size_t size, const struct setting *setting)
{
	const char *in = setting->variable + sizeof PREFIX - 1;
	size_t i;

	for (i = 0; in[i] && i < size - 1; i++)
		out[i] = in[i] == '_' ? '-' : (char)(in[i] | 0x20);
	out[i] = '\0';
	return out;
}

const struct setting *environment_find(const char *variable)
{
	size_t i;

	for (i = 0; i < environment_n_settings; i++)
		if (strcmp(environment_settings[i].variable, variable) == 0)
			return &environment_settings[i];
	return NULL;
}

/* Whether value is one of the words in a text such as "off, observe or freeze". */
static bool is_word_of(const char *value, const char *text)
{
	size_t n;

	for (; *text; text += n) {
		text += strspn(text, ", ");
		n = strcspn(text, ", ");
		if (n && n == strlen(value) && strncmp(text, value, n) == 0)
			return strcmp(value, "or") != 0;
	}
	return false;
}

static bool is_threshold(const char *text, size_t n)
{
	char number[16];
	long long value;

	if (n == 4 && strncmp(text, "keep", 4) == 0)
		return true;
	if (n >= sizeof number)
		return false;
	memcpy(number, text, n);
	number[n] = '\0';
	return text_number(number, 1, INT32_MAX, &value) == 0;
}

static bool are_thresholds(const char *text)
{
	size_t n;
	int i;

	for (i = 0; i < 3; i++) {
		n = strcspn(text, ",");
		if (!is_threshold(text, n))
			return false;
		text += n;
		if (i < 2 && *text++ != ',')
			return false;
	}
	return !*text;
}

bool environment_allows(const struct setting *setting, const char *value)
{
	static const char *const lists[] = { "boolean", "mode", "ring", "level" };
	long long gid;
	size_t i;

	for (i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (strcmp(setting->type, lists[i]) == 0)
			return is_word_of(value, setting->allowed);
	if (strcmp(setting->type, "thresholds") == 0)
		return are_thresholds(value);
	if (strcmp(setting->type, "path") == 0)
		return *value == '/';
	if (strcmp(setting->type, "group") == 0)
		return text_number(value, 0, UINT32_MAX - 1ll, &gid) == 0;
	return true; /* the library has the last word */
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
	const struct setting *s = environment_settings;
	char option[64], *text;
	size_t i;

	for (i = 0; i < environment_n_settings; i++, s++) {
		text = format_text("%s (%s%s%s)", s->help, s->allowed,
				   *s->standard ? "; default: " : "", s->standard);
		printf("  --%-16s ", environment_option(option, sizeof option, s));
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

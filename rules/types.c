/* SPDX-License-Identifier: MIT */
#include "rules/types.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "rules/numbers.h"
#include "rules/settings.h"
#include "rules/trigger.h"
#include "rules/words.h"

#define MILLION 1000000u

/* Which of the words of a text such as "off, observe or freeze" it is, or -1. */
static int word_number(const char *words, const char *text)
{
	size_t n, length = strlen(text);
	char word[32];
	int number = 0;

	for (; *words; words += n) {
		words += strspn(words, ", ");
		n = strcspn(words, ", ");
		if (n >= sizeof word || (n == 2 && memcmp(words, "or", 2) == 0))
			continue;
		memcpy(word, words, n);
		word[n] = '\0';
		if (n && words_same(word, text, length))
			return number;
		number++;
	}
	return -1;
}

bool types_boolean(const struct settings_row *row, const char *text, void *field)
{
	int number = word_number("0, 1, false, true, no, yes, off, on", text);

	(void)row;
	if (number < 0)
		return false;
	*(bool *)field = number % 2;
	return true;
}

bool types_choice(const struct settings_row *row, const char *text, void *field)
{
	int number = word_number(row->allowed, text);

	if (number < 0)
		return false;
	memcpy(field, &number, sizeof number); /* an enum of any kind */
	return true;
}

static bool time_within(const struct settings_row *row, const char *text, enum numbers_plain plain,
			void *field)
{
	uint64_t ns;

	if (!numbers_time(text, text + strlen(text), plain, row->high, &ns) || ns < row->low)
		return false;
	*(uint64_t *)field = ns;
	return true;
}

bool types_milliseconds(const struct settings_row *row, const char *text, void *field)
{
	return time_within(row, text, NUMBERS_MILLISECONDS, field);
}

bool types_seconds(const struct settings_row *row, const char *text, void *field)
{
	return time_within(row, text, NUMBERS_SECONDS, field);
}

bool types_thresholds_of(const struct settings_row *row, const char *text, void *field)
{
	types_thresholds thresholds;
	int i;

	for (i = 0; i < GCPRELOAD_GENERATIONS; i++) {
		const char *end =
		    i < GCPRELOAD_GENERATIONS - 1 ? strchr(text, ',') : text + strlen(text);
		uint64_t value = GCPRELOAD_KEEP;

		if (!end)
			return false;
		if (!words_same("keep", text, (size_t)(end - text)) &&
		    !numbers_whole(text, end, row->low, row->high, &value))
			return false;
		thresholds[i] = (int32_t)value;
		text = end + 1;
	}
	memcpy(field, thresholds, sizeof thresholds);
	return true;
}

bool types_ratio(const struct settings_row *row, const char *text, void *field)
{
	uint64_t value;

	if (!numbers_share(text, text + strlen(text), MILLION, row->high, &value) ||
	    value < row->low)
		return false;
	*(uint32_t *)field = (uint32_t)value;
	return true;
}

bool types_number_or_nothing(const struct settings_row *row, const char *text, void *field)
{
	uint64_t value = 0;

	if (*text && !numbers_whole(text, text + strlen(text), row->low, row->high, &value))
		return false;
	*(int64_t *)field = *text ? (int64_t)value : -1;
	return true;
}

/* Where a glob in [ ] ends, or NULL where it does not: fnmatch() would take the [ for itself. */
static const char *bracket_end(const char *glob)
{
	glob += 1 + (glob[1] == '!' || glob[1] == '^');
	if (*glob == ']')
		glob++;
	for (; *glob && *glob != ','; glob++)
		if (*glob == ']')
			return glob;
	return NULL;
}

bool types_globs(const struct settings_row *row, const char *text, void *field)
{
	const char *glob, *c;

	for (glob = c = text; *c; c++) {
		if (*c == ',')
			glob = c + 1;
		else if (*c == '[' && !(c = bracket_end(c)))
			return false;
		else if (*c == '\\' && (!*++c || *c == ','))
			return false;
		if (c - glob >= TYPES_GLOB_MAX - 1)
			return false;
	}
	return types_text(row, text, field);
}

bool types_text(const struct settings_row *row, const char *text, void *field)
{
	(void)row;
	*(const char **)field = text;
	return true;
}

bool types_path(const struct settings_row *row, const char *text, void *field)
{
	return (!*text || *text == '/') && types_text(row, text, field);
}

bool types_directory(const struct settings_row *row, const char *text, void *field)
{
	return *text == '/' && strlen(text) < PATH_MAX && types_text(row, text, field);
}

bool types_trigger(const struct settings_row *row, const char *text, void *field)
{
	struct trigger_list list;

	return trigger_parse(&list, text) && types_text(row, text, field);
}

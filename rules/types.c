/* SPDX-License-Identifier: MIT */
#include "rules/types.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "rules/settings.h"
#include "rules/trigger.h"

#define MILLION	    1000000u
#define SECOND	    1000000000u
#define GROUPS_MOST (UINT_MAX - 1ull) /* (gid_t)-1 means no group */

/* Which of the words of a text such as "off, observe or freeze" it is, or -1. */
static int word_number(const char *words, const char *text)
{
	size_t n, length = strlen(text);
	int number = 0;

	for (; *words; words += n) {
		words += strspn(words, ", ");
		n = strcspn(words, ", ");
		if (n == 2 && memcmp(words, "or", 2) == 0)
			continue;
		if (n && n == length && memcmp(words, text, n) == 0)
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

/* Decimal digits, all of text up to end. */
static bool whole_number(const char *text, const char *end, uint64_t low, uint64_t high,
			 uint64_t *number)
{
	uint64_t value = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > high)
			return false;
	}
	*number = value;
	return value >= low;
}

/* "0.25" whatever the locale, so not by strtod. Digits below 1 / unit are dropped. */
static bool decimal_number(const char *text, uint64_t unit, uint64_t low, uint64_t high,
			   uint64_t *number)
{
	const char *point = text + strspn(text, "0123456789");
	uint64_t value;

	if (!whole_number(text, point, 0, high / unit, &value))
		return false;
	value *= unit;
	if (*point == '.' && point[1])
		for (point++; *point >= '0' && *point <= '9'; point++)
			value += (uint64_t)(*point - '0') * (unit /= 10);
	*number = value;
	return !*point && value >= low && value <= high;
}

bool types_milliseconds(const struct settings_row *row, const char *text, void *field)
{
	uint64_t value;

	if (!whole_number(text, text + strlen(text), row->low, row->high, &value))
		return false;
	*(uint64_t *)field = value * MILLION;
	return true;
}

bool types_decimal_milliseconds(const struct settings_row *row, const char *text, void *field)
{
	return decimal_number(text, MILLION, row->low, row->high, field);
}

bool types_seconds(const struct settings_row *row, const char *text, void *field)
{
	uint64_t ns;

	if (!trigger_seconds(text, text + strlen(text), &ns) || ns < row->low * SECOND ||
	    ns > row->high * SECOND)
		return false;
	*(uint64_t *)field = ns;
	return true;
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
		if ((end - text != 4 || memcmp(text, "keep", 4) != 0) &&
		    !whole_number(text, end, row->low, row->high, &value))
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

	if (!decimal_number(text, MILLION, row->low, row->high, &value))
		return false;
	*(uint32_t *)field = (uint32_t)value;
	return true;
}

bool types_group(const struct settings_row *row, const char *text, void *field)
{
	uint64_t value = 0;

	(void)row;
	if (*text && !whole_number(text, text + strlen(text), 0, GROUPS_MOST, &value))
		return false;
	*(int64_t *)field = *text ? (int64_t)value : -1;
	return true;
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

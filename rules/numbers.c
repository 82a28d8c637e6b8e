/* SPDX-License-Identifier: MIT */
#include "rules/numbers.h"

#include <stddef.h>
#include <string.h>

#include "rules/words.h"

#define DENOMINATOR_MOST 1000000

static bool numbers_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool numbers_whole(const char *text, const char *end, uint64_t low, uint64_t high, uint64_t *number)
{
	uint64_t value = 0;

	if (text == end)
		return false;
	for (; text < end; text++) {
		if (!numbers_digit(*text))
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > high)
			return false;
	}
	*number = value;
	return value >= low;
}

bool numbers_decimal(const char *text, const char *end, uint64_t unit, uint64_t high,
		     uint64_t *number)
{
	const char *point = memchr(text, '.', (size_t)(end - text));
	uint64_t value = 0;

	if ((!point || point > text) &&
	    !numbers_whole(text, point ? point : end, 0, high / unit, &value))
		return false;
	value *= unit;
	if (point && point + 1 == end)
		return false;
	for (point = point ? point + 1 : end; point < end; point++) {
		if (!numbers_digit(*point))
			return false;
		value += (uint64_t)(*point - '0') * (unit /= 10);
	}
	*number = value;
	return value <= high;
}

bool numbers_share(const char *text, const char *end, uint64_t unit, uint64_t high,
		   uint64_t *number)
{
	const char *slash = memchr(text, '/', (size_t)(end - text));
	uint64_t parts, of;

	if (slash) {
		if (!numbers_whole(text, slash, 0, DENOMINATOR_MOST, &parts) ||
		    !numbers_whole(slash + 1, end, 1, DENOMINATOR_MOST, &of))
			return false;
		*number = unit * parts / of;
		return *number <= high;
	}
	if (end > text && end[-1] == '%')
		return numbers_decimal(text, end - 1, unit / 100, high, number);
	return numbers_decimal(text, end, unit, high, number);
}

/* The largest first. */
static const struct {
	const char *name;
	uint64_t ns;
} time_units[] = {
	{ "d", 86400000000000 }, { "h", 3600000000000 }, { "m", 60000000000 },
	{ "s", 1000000000 },	 { "ms", 1000000 },	 { "us", 1000 },
};

enum { TIME_UNITS = sizeof time_units / sizeof *time_units, FIRST_UP_TO_SECONDS = 3 };

/* The unit from next on that has this name, or TIME_UNITS. */
static size_t numbers_unit(size_t next, const char *name, size_t length)
{
	while (next < TIME_UNITS && !words_same(time_units[next].name, name, length))
		next++;
	return next;
}

bool numbers_time(const char *text, const char *end, enum numbers_plain plain, uint64_t high_ns,
		  uint64_t *ns)
{
	size_t unit = plain == NUMBERS_SECONDS ? 0 : FIRST_UP_TO_SECONDS;
	const char *name, *behind;
	uint64_t total = 0, part;

	if (end == text || numbers_digit(end[-1]))
		return numbers_decimal(text, end, plain, high_ns, ns);
	for (; text < end; text = behind, unit++) {
		for (name = text; name < end && (numbers_digit(*name) || *name == '.');)
			name++;
		for (behind = name; behind < end && !numbers_digit(*behind) && *behind != '.';)
			behind++;
		unit = numbers_unit(unit, name, (size_t)(behind - name));
		if (unit == TIME_UNITS ||
		    !numbers_decimal(text, name, time_units[unit].ns, high_ns - total, &part))
			return false;
		total += part;
	}
	*ns = total;
	return true;
}

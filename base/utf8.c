/* SPDX-License-Identifier: MIT */
#include "base/utf8.h"

static int utf8_continues(const char *s, size_t n, size_t i)
{
	return i < n && ((unsigned char)s[i] & 0xc0) == 0x80;
}

size_t utf8_next(const char *s, size_t n, uint32_t *character)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = (unsigned char)s[0];
	size_t length, i;
	uint32_t c;

	*character = first;
	if (first < 0x80)
		return 1;
	*character = UTF8_INVALID;
	if (first >= 0xc2 && first <= 0xdf)
		length = 2;
	else if (first >= 0xe0 && first <= 0xef)
		length = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		length = 4;
	else
		return 1;
	c = first & (0x7fu >> length);
	for (i = 1; i < length; i++) {
		if (!utf8_continues(s, n, i))
			return 1;
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	}
	/* Overlong forms, surrogates and numbers beyond Unicode are not characters. */
	if (c < smallest[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 1;
	*character = c;
	return length;
}

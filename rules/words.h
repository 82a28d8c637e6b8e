/* SPDX-License-Identifier: MIT */
/* Words of settings, in any case: people write True and Off. ASCII, whatever the locale. */
#ifndef GCPRELOAD_RULES_WORDS_H
#define GCPRELOAD_RULES_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a text of that length is the word, which is in lower case. */
static inline bool words_same(const char *word, const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];

		if (!word[i] || word[i] != c)
			return false;
	}
	return !word[i];
}

#endif

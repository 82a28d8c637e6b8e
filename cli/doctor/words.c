/* SPDX-License-Identifier: MIT */
#include "cli/doctor/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"

static void words_append(struct words *words, const char *word)
{
	words->list = memory_need(realloc(words->list, (words->n + 2) * sizeof *words->list));
	words->list[words->n++] = memory_need(strdup(word));
	words->list[words->n] = NULL;
}

void words_from(struct words *words, char *const *argv)
{
	memset(words, 0, sizeof *words);
	for (; *argv; argv++)
		words_append(words, *argv);
}

void words_free(struct words *words)
{
	words_drop(words, words->n);
	free(words->list);
	memset(words, 0, sizeof *words);
}

const char *words_at(const struct words *words, size_t i)
{
	return i < words->n ? words->list[i] : NULL;
}

char *words_join(const struct words *words, char *out, size_t size)
{
	size_t i, last = words->n, n = 0;

	while (last && !*words->list[last - 1])
		last--;
	out[0] = '\0';
	for (i = 0; i < last && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? " " : "", words->list[i]);
	return out;
}

void words_drop(struct words *words, size_t n)
{
	size_t i;

	if (n > words->n)
		n = words->n;
	if (!n)
		return;
	for (i = 0; i < n; i++)
		free(words->list[i]);
	words->n -= n;
	memmove(words->list, words->list + n, (words->n + 1) * sizeof *words->list);
}

static void words_insert(struct words *words, size_t at, const char *word)
{
	char *last;

	words_append(words, word);
	last = words->list[words->n - 1];
	memmove(words->list + at + 1, words->list + at, (words->n - 1 - at) * sizeof *words->list);
	words->list[at] = last;
}

void words_put_first(struct words *words, const char *word)
{
	words_insert(words, 0, word);
}

/* Takes the next word of a text to out, which has room for all of it. Returns 1, 0 at the end,
 * -1 where a shell is needed. */
static int next_word(const char **text, char *out)
{
	char quote = 0;
	const char *p = *text + strspn(*text, " \t\n");

	if (!*p)
		return 0;
	for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
		if (quote != '\'' && strchr("$`", *p))
			return -1;
		if (!quote && strchr("|&;<>()*?[]#~", *p))
			return -1;
		if (*p == '\\' && quote != '\'' && p[1])
			*out++ = *++p;
		else if (*p == quote)
			quote = 0;
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else
			*out++ = *p;
	}
	*out = '\0';
	*text = p;
	return quote ? -1 : 1;
}

int words_split_first(struct words *words, const char *text)
{
	char *word = memory_need(malloc(strlen(text) + 1));
	struct words split = { 0 };
	size_t i;
	int ret;

	while ((ret = next_word(&text, word)) == 1)
		words_append(&split, word);
	for (i = 0; ret == 0 && i < split.n; i++)
		words_insert(words, i, split.list[i]);
	words_free(&split);
	free(word);
	return ret;
}

/* SPDX-License-Identifier: MIT */
/* A command line that can be taken apart. */
#ifndef GCPRELOAD_CLI_DOCTOR_WORDS_H
#define GCPRELOAD_CLI_DOCTOR_WORDS_H

#include <stddef.h>

struct words {
	char **list; /* NULL behind the last */
	size_t n;
};

void words_from(struct words *words, char *const *argv);
void words_free(struct words *words);

/* The word at i, or NULL. */
const char *words_at(const struct words *words, size_t i);

/* As a command line, as the library reads it: arguments separated by spaces, empty ones at the end
 * left out. Returns out. */
char *words_join(const struct words *words, char *out, size_t size);

void words_drop(struct words *words, size_t n);
void words_put_first(struct words *words, const char *word);

/* Puts the words of a text before the others, with a shell's quotes. Returns 0, or -1 where only
 * a shell could know what the text means ($, *, |, ;, ...), and then nothing is changed. */
int words_split_first(struct words *words, const char *text);

#endif

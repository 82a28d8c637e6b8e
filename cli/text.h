/* SPDX-License-Identifier: MIT */
/* Texts for people: messages, escaping for terminals, durations, shares. */
#ifndef GCPRELOAD_CLI_TEXT_H
#define GCPRELOAD_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"

/* Prints "gcpreload: " and the message on stderr. The form is "WHAT: WHY; what to do"; control
 * bytes in it are escaped, so names and texts may come from anywhere. */
void text_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on messages go there, as they are, and not to stderr; NULL: to stderr again. */
void complain_to(void (*hear)(void *arg, const char *text), void *arg);

/* Copies in to out, bytes that could steer a terminal as \xNN; cuts at a whole character where
 * out is full. Returns out. */
char *text_safe(char *out, size_t size, const char *in);

/* A path without its directories. */
const char *text_base_name(const char *path);

bool text_begins(const char *text, const char *with);

/* Columns that a text takes on a terminal. The locale (LC_CTYPE) tells which characters take two
 * and which none; without one each takes one. */
size_t text_width(const char *text);

/* Cuts a text in place to so many columns, the last two of them dots where there is room. */
void text_shorten(char *text, size_t width);

/* A command line without the directories of its first two words: the interpreter's, and the
 * script's. Returns out. */
char *text_command(char *out, size_t size, const char *command);

/* The time of day of CLOCK_REALTIME nanoseconds, "12:34:56.789". Returns out. */
char *text_clock(char *out, size_t size, int64_t ns);

/* "850 ns", "12.3 us", "4.56 ms", "1.23 s", "2 min 5 s", "3 h 12 min", "2 d 3 h"; three digits
 * or two units. Returns out. */
char *text_duration(char *out, size_t size, double seconds);

/* Decimals that make three digits of a number from 0 to 999. */
int text_decimals(double value);

/* A share from 0 to 1 as "0.52 %"; "-" for one below 0, which means unknown. Returns out. */
char *text_share(char *out, size_t size, double share);

/* The one of n names that is nearest to a mistyped word, or NULL when none is near. */
const char *text_nearest(const char *word, const char *const *names, size_t n);

/* A whole decimal number from low to high. Returns 0, or -1 with *number untouched. */
int text_number(const char *text, long long low, long long high, long long *number);

#endif

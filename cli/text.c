/* SPDX-License-Identifier: MIT */
#include "cli/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

static void (*hearing)(void *arg, const char *text);
static void *hearer;

void complain_to(void (*hear)(void *arg, const char *text), void *arg)
{
	hearing = hear;
	hearer = arg;
}

void text_complain(const char *format, ...)
{
	char text[2048], safe[4096];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (hearing) {
		hearing(hearer, text);
		return;
	}
	/* What was asked for first, even when stdout is a full buffer on the same terminal. */
	fflush(stdout);
	fprintf(stderr, "gcpreload: %s\n", text_safe(safe, sizeof safe, text));
}

/* C0, DEL and C1 steer terminals; the bidirectional controls make a text read as another. */
static int text_steers(uint32_t c)
{
	return c == UTF8_INVALID || c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x200e ||
	       c == 0x200f || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

char *text_safe(char *out, size_t size, const char *in)
{
	size_t n = strlen(in), done = 0, length, need, i;
	uint32_t c;

	for (; n; in += length, n -= length) {
		length = utf8_next(in, n, &c);
		need = text_steers(c) ? 4 * length : length;
		if (done + need >= size)
			break;
		if (text_steers(c))
			for (i = 0; i < length; i++)
				snprintf(out + done + 4 * i, 5, "\\x%02x", (unsigned char)in[i]);
		else
			memcpy(out + done, in, length);
		done += need;
	}
	out[done] = '\0';
	return out;
}

/* Columns of a character, where the locale knows it. */
static size_t text_columns(uint32_t c)
{
	int width = c == UTF8_INVALID ? 1 : wcwidth((wchar_t)c);

	return width < 0 ? 1 : (size_t)width;
}

size_t text_width(const char *text)
{
	size_t n = strlen(text), width = 0, length;
	uint32_t c;

	for (; n; text += length, n -= length, width += text_columns(c))
		length = utf8_next(text, n, &c);
	return width;
}

/* Where a text has taken as many columns as there may be. */
static size_t bytes_within(const char *text, size_t width)
{
	size_t n = strlen(text), at = 0, length;
	uint32_t c;

	while (at < n) {
		length = utf8_next(text + at, n - at, &c);
		if (text_columns(c) > width)
			break;
		width -= text_columns(c);
		at += length;
	}
	return at;
}

void text_shorten(char *text, size_t width)
{
	if (text_width(text) <= width)
		return;
	if (width < 3)
		text[bytes_within(text, width)] = '\0';
	else
		memcpy(text + bytes_within(text, width - 2), "..", 3);
}

char *text_command(char *out, size_t size, const char *command)
{
	size_t n = 0, word;
	int i;

	for (i = 0; i < 2 && *command == '/'; i++) {
		word = strcspn(command, " ");
		while (memchr(command, '/', word)) {
			command++;
			word--;
		}
		n += (size_t)snprintf(out + n, size - n, "%.*s ", (int)word, command);
		if (n >= size)
			return out;
		command += word;
		command += strspn(command, " ");
	}
	snprintf(out + n, size - n, "%s", command);
	for (n = strlen(out); n && out[n - 1] == ' '; n--)
		out[n - 1] = '\0';
	return out;
}

char *text_clock(char *out, size_t size, int64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[32];

	if (!localtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%H:%M:%S", &tm))
		snprintf(out, size, "?");
	else
		snprintf(out, size, "%s.%03d", text, (int)(ns % 1000000000 / 1000000));
	return out;
}

int text_decimals(double value)
{
	return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

static char *long_duration(char *out, size_t size, double seconds)
{
	unsigned long long s = (unsigned long long)(seconds + 0.5);

	if (s < 3600)
		snprintf(out, size, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, size, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(out, size, "%llu d %llu h", s / 86400, s / 3600 % 24);
	return out;
}

char *text_duration(char *out, size_t size, double seconds)
{
	static const struct {
		const char *name;
		double in_a_second;
	} units[] = { { "us", 1e6 }, { "ms", 1e3 }, { "s", 1 } };
	double value = 0;
	size_t i;

	if (!(seconds > 0)) {
		snprintf(out, size, "0");
		return out;
	}
	if (seconds >= 1e18) {
		snprintf(out, size, "> 100 years");
		return out;
	}
	if (seconds * 1e9 < 999.5) {
		snprintf(out, size, "%.0f ns", seconds * 1e9);
		return out;
	}
	if (seconds >= 59.95)
		return long_duration(out, size, seconds);
	for (i = 0; i < sizeof units / sizeof units[0]; i++) {
		value = seconds * units[i].in_a_second;
		if (value < 999.5)
			break;
	}
	snprintf(out, size, "%.*f %s", text_decimals(value), value, units[i].name);
	return out;
}

char *text_share(char *out, size_t size, double share)
{
	double percent = share * 100;

	if (!(share >= 0))
		snprintf(out, size, "-");
	else if (share == 0)
		snprintf(out, size, "0 %%");
	else if (percent < 0.01)
		snprintf(out, size, "<0.01 %%");
	else
		snprintf(out, size, "%.*f %%", text_decimals(percent), percent);
	return out;
}

#define LONGEST_WORD 31

/* Levenshtein's distance, of words up to LONGEST_WORD. */
static size_t text_distance(const char *a, const char *b)
{
	size_t row[LONGEST_WORD + 1], n = strlen(b), i, j;

	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 0; a[i]; i++) {
		size_t corner = row[0]++;

		for (j = 0; j < n; j++) {
			size_t best = corner + (a[i] != b[j]);

			corner = row[j + 1];
			if (corner + 1 < best)
				best = corner + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

const char *text_nearest(const char *word, const char *const *names, size_t n)
{
	const char *nearest = NULL;
	size_t best = 3, i, d;

	if (strlen(word) > LONGEST_WORD)
		return NULL;
	for (i = 0; i < n; i++) {
		if (strlen(names[i]) > LONGEST_WORD)
			continue;
		d = text_distance(word, names[i]);
		if (d < best && d < strlen(names[i])) {
			best = d;
			nearest = names[i];
		}
	}
	return nearest;
}

int text_number(const char *text, long long low, long long high, long long *number)
{
	long long value;
	char *end;

	if (*text != '-' && (*text < '0' || *text > '9'))
		return -1;
	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || *end || end == text || value < low || value > high)
		return -1;
	*number = value;
	return 0;
}

const char *text_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool text_begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

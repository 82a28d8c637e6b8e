/* SPDX-License-Identifier: MIT */
#include "preload/config.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

#include "preload/origin.h"

#define FILE_MAX 16384
#define GLOB_MAX 512

/* Byte by byte whatever the program's locale, as it is before main. In a locale of several bytes
 * a character, fnmatch() allocates; that of the name "C" is there already. */
static bool matches(const char *glob)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = uselocale(plain);
	bool ok = fnmatch(glob, origin_own(), 0) == 0 ||
		  (*origin_named() && fnmatch(glob, origin_named(), 0) == 0);

	uselocale(before);
	return ok;
}

bool config_matches(const char *globs)
{
	char glob[GLOB_MAX];
	size_t length;

	for (;; globs += length + 1) {
		length = strcspn(globs, ",");
		if (length && length < sizeof glob) {
			memcpy(glob, globs, length);
			glob[length] = '\0';
			if (matches(glob))
				return true;
		}
		if (!globs[length])
			return false;
	}
}

/* A position for people, and whom to tell. */
struct place {
	const char *path;
	int line;
	settings_complain *complain;
};

static void refuse(const struct place *place, const char *what)
{
	char sentence[512];

	snprintf(sentence, sizeof sentence, "line %d of %.300s: %s, ignored", place->line,
		 place->path, what);
	place->complain(sentence);
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (*text == ' ' || *text == '\t')
		text++;
	while (end > text && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return text;
}

/* "[glob]": whether the lines that follow are for this process. */
static bool section(char *text, const struct place *place)
{
	size_t length = strlen(text);

	if (text[length - 1] != ']' || length < 3) {
		refuse(place, "a section must be [glob], with a glob that can match");
		return false;
	}
	text[length - 1] = '\0';
	return config_matches(text + 1);
}

static void assign(struct gcpreload_settings *settings, char *text, const struct place *place)
{
	char *equals = strchr(text, '='), where[400], *p;
	char *name;

	if (!equals) {
		refuse(place, "neither [glob] nor name = value");
		return;
	}
	*equals = '\0';
	name = trim(text);
	for (p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	snprintf(where, sizeof where, "line %d of %.300s: ", place->line, place->path);
	settings_set(settings, name, strlen(name), trim(equals + 1), where, place->complain);
}

static void apply(struct gcpreload_settings *settings, char *text, struct place *place)
{
	bool ours = true;
	char *next;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
		text += 3;
	for (; text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		place->line++;
		text = trim(text);
		if (*text == '[')
			ours = section(text, place);
		else if (ours && *text && *text != '#' && *text != ';')
			assign(settings, text, place);
	}
}

/* strerror() translates, under a lock. */
static const char *why_not(int error)
{
	switch (error) {
	case ENOENT:
		return "No such file or directory";
	case EACCES:
		return "Permission denied";
	case EISDIR:
		return "Is a directory";
	default:
		return "it cannot be read";
	}
}

void config_read(struct gcpreload_settings *settings, const char *path, bool explicit_path,
		 settings_complain *complain)
{
	static char text[FILE_MAX]; /* settings point into it */
	struct place place = { path, 0, complain };
	ssize_t length = origin_slurp(path, text, sizeof text);
	char sentence[512];
	const char *what = NULL;

	if (length == -ENOENT && !explicit_path)
		return;
	if (length < 0)
		what = why_not((int)-length);
	else if (length == FILE_MAX - 1)
		what = "longer than 16383 bytes";
	else if (strlen(text) != (size_t)length)
		what = "not a text";
	if (what) {
		snprintf(sentence, sizeof sentence, "the settings in %.300s are ignored: %s", path,
			 what);
		complain(sentence);
		return;
	}
	apply(settings, text, &place);
}

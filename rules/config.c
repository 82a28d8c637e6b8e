/* SPDX-License-Identifier: MIT */
#include "rules/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Where in which file. */
struct config {
	struct gcpreload_settings *settings;
	const struct settings_asker *asker;
	int line;
};

/* What the file says is not known: it may be "mode: off". The first such place is what counts. */
static void config_unusable(struct gcpreload_settings *settings, const struct settings_asker *asker,
			    const char *why, const char *sentence)
{
	const char *copy = asker->keep(asker->arg, why, strlen(why));

	if (!settings->unusable[SETTINGS])
		settings->unusable[SETTINGS] = copy ? copy : "the settings file cannot be used";
	asker->complain(asker->arg, sentence);
}

static void refuse_line(const struct config *config, const char *what)
{
	char sentence[512], why[128];

	snprintf(sentence, sizeof sentence,
		 "line %d of %.300s: %s; nothing is tuned, only observed", config->line,
		 config->settings->conf, what);
	snprintf(why, sizeof why, "unusable settings: line %d of %.80s", config->line,
		 config->settings->conf);
	config_unusable(config->settings, config->asker, why, sentence);
}

static char *config_trim(char *text)
{
	char *end = text + strlen(text);

	while (*text == ' ' || *text == '\t')
		text++;
	while (end > text && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return text;
}

/* "[glob]": whether the lines that follow are for this process. */
static bool section_is_ours(const struct config *config, char *text)
{
	size_t length = strlen(text);

	if (text[length - 1] == ']' && length >= 3) {
		text[length - 1] = '\0';
		length = 0;
	}
	if (length || !settings_allow(&settings_rows[SETTINGS_ONLY], text + 1)) {
		refuse_line(config, "a section must be [glob], with a glob that can match");
		return false;
	}
	return settings_match(config->asker, text + 1);
}

/* "name = value" */
static void apply_line(const struct config *config, char *text)
{
	char *equals = strchr(text, '='), *name, *p;

	if (!equals) {
		refuse_line(config, "neither [glob] nor name = value");
		return;
	}
	*equals = '\0';
	name = config_trim(text);
	for (p = name; *p; p++)
		if (*p >= 'a' && *p <= 'z')
			*p = (char)(*p - 'a' + 'A');
	settings_set(config->settings, config->asker, name, strlen(name), config_trim(equals + 1),
		     config->line);
}

static void apply_text(struct config *config, char *text)
{
	bool ours = true;
	char *next;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
		text += 3;
	for (; text; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		config->line++;
		text = config_trim(text);
		if (*text == '[')
			ours = section_is_ours(config, text);
		else if (ours && *text && *text != '#' && *text != ';')
			apply_line(config, text);
	}
}

/* strerror() translates, under a lock. */
static const char *why_unread(int error)
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

void config_apply(struct gcpreload_settings *settings, const struct settings_asker *asker,
		  bool named)
{
	struct config config = { settings, asker, 0 };
	ssize_t length = asker->slurp(asker->arg, settings->conf, asker->room, SETTINGS_FILE_ROOM);
	const char *what = NULL;
	char sentence[512], why[128];

	if (length == -ENOENT && !named)
		return;
	if (length < 0)
		what = why_unread((int)-length);
	else if (length == SETTINGS_FILE_ROOM - 1)
		what = "longer than 16383 bytes";
	else if (strlen(asker->room) != (size_t)length)
		what = "not a text";
	if (what) {
		snprintf(sentence, sizeof sentence,
			 "the settings in %.300s are ignored: %s; nothing is tuned, only observed",
			 settings->conf, what);
		snprintf(why, sizeof why, "unusable settings: %.60s: %.40s", settings->conf, what);
		config_unusable(settings, asker, why, sentence);
		return;
	}
	apply_text(&config, asker->room);
}

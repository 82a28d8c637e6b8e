/* SPDX-License-Identifier: MIT */
#include "preload/settings.h"

#include <string.h>

#include "base/small_file.h"
#include "preload/log.h"
#include "preload/origin.h"

static unsigned unsaid;
static settings_complain *say;

/* Titles of processes are written over the environment (setproctitle): what is kept is copied.
 * Never freed, so a text that is read again is not copied again. */
static const char *keep_for_good(void *unused, const char *text, size_t length)
{
	static char kept[32768];
	static size_t used;
	size_t at;
	char *copy;

	(void)unused;
	for (at = 0; at < used; at += strlen(kept + at) + 1)
		if (strncmp(kept + at, text, length) == 0 && !kept[at + length])
			return kept + at;
	if (length >= sizeof kept - used)
		return NULL;
	copy = memcpy(kept + used, text, length);
	copy[length] = '\0';
	used += length + 1;
	return copy;
}

static const char *own_command_line(void *unused, bool ancestor)
{
	(void)unused;
	return ancestor ? origin_named() : origin_own();
}

static ssize_t slurp_file(void *unused, const char *path, char *text, size_t size)
{
	(void)unused;
	return small_file_read(path, text, size);
}

static void say_or_count(void *unused, const char *sentence)
{
	(void)unused;
	unsaid++;
	if (say)
		say(sentence);
}

void settings_read(struct gcpreload_settings *settings, char **environment,
		   settings_complain *complain)
{
	static char room[SETTINGS_FILE_ROOM];
	static const struct settings_asker asker = {
		.command_line = own_command_line,
		.slurp = slurp_file,
		.room = room,
		.keep = keep_for_good,
		.complain = say_or_count,
	};

	/* Once in silence: what is said about bad settings goes where the settings of the log say,
	 * and an excluded process says nothing. */
	unsaid = 0;
	say = NULL;
	settings_resolve(settings, environment, &asker);
	log_configure(settings->log_level, settings->log_file);
	if (!unsaid || settings->excluded || !complain)
		return;
	say = complain;
	settings_resolve(settings, environment, &asker);
}

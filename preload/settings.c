/* SPDX-License-Identifier: MIT */
#include "preload/settings.h"

#include <string.h>

#include "base/shared.h"
#include "base/small_file.h"
#include "preload/log.h"
#include "preload/origin.h"
#include "rules/config.h"
#include "rules/helper.h"

static char room[SETTINGS_FILE_ROOM];
static bool mode_in_environment;
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

static void settings_of_this(struct gcpreload_settings *settings, char **environment)
{
	static const struct settings_asker asker = {
		.command_line = own_command_line,
		.slurp = slurp_file,
		.room = room,
		.keep = keep_for_good,
		.complain = say_or_count,
	};

	settings_resolve(settings, environment, &asker);
	helper_apply(settings, origin_own(), environment);
}

void settings_read(struct gcpreload_settings *settings, char **environment,
		   settings_complain *complain)
{
	/* Once in silence: what is said about bad settings goes where the settings of the log say,
	 * and an excluded process says nothing. */
	unsaid = 0;
	say = NULL;
	mode_in_environment = settings_variable(environment, "GCPRELOAD_MODE") != NULL;
	settings_of_this(settings, environment);
	log_configure(&(struct log_style){ settings->log_level, settings->log_format,
					   settings->log_file, settings->service_name });
	if (!unsaid || settings->excluded || !complain)
		return;
	say = complain;
	settings_of_this(settings, environment);
}

static const char *keep_nothing(void *unused, const char *text, size_t length)
{
	(void)unused;
	(void)text;
	(void)length;
	return "";
}

static ssize_t slurp_and_tell(void *was_read, const char *path, char *text, size_t size)
{
	ssize_t length = small_file_read(path, text, size);

	*(bool *)was_read = length >= 0;
	return length;
}

static void say_nothing(void *unused, const char *sentence)
{
	(void)unused;
	(void)sentence;
}

/* Of what was read again, and had no fault before. */
static const char file_is_unusable[] = "unusable settings: a line of the file, since the start";

static bool settings_has_fault(const struct gcpreload_settings *settings)
{
	size_t i;

	for (i = 0; i <= SETTINGS; i++)
		if (settings->unusable[i])
			return true;
	return false;
}

void settings_mode_again(struct gcpreload_settings *settings)
{
	struct gcpreload_settings again = *settings;
	bool was_read = false;
	const struct settings_asker asker = {
		.arg = &was_read,
		.command_line = own_command_line,
		.slurp = slurp_and_tell,
		.room = room,
		.keep = keep_nothing,
		.complain = say_nothing,
	};

	/* What could not be used at the start stays so: it may stand in the environment. */
	if (mode_in_environment || !*settings->conf ||
	    (settings->observes && settings->observes != file_is_unusable))
		return;
	settings_take_default(&again, &asker, &settings_rows[SETTINGS_MODE]);
	config_apply(&again, &asker, false);
	if (!was_read)
		return;
	if (settings_has_fault(&again) &&
	    (again.mode >= GCPRELOAD_MODE_OBSERVE || again.unusable[SETTINGS_MODE])) {
		again.mode = GCPRELOAD_MODE_OBSERVE;
		settings->observes = file_is_unusable;
	} else {
		settings->observes = NULL;
	}
	if (again.mode != settings->mode)
		store_relaxed(&settings->mode, again.mode);
}

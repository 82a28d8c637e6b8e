/* SPDX-License-Identifier: MIT */
/* The rows of settings.def, and giving one its value. */
#include <stdio.h>
#include <string.h>

#include "rules/settings.h"

#define PREFIX "GCPRELOAD_"

_Static_assert(sizeof(enum gcpreload_mode) == sizeof(int), "types_choice writes an int");

const struct settings_row settings_rows[] = {
#define ROW(NAME, member, type, standard, ...)                                                     \
	{ .name = #NAME,                                                                           \
	  .fallback = (standard),                                                                  \
	  .offset = offsetof(struct gcpreload_settings, member),                                   \
	  SETTINGS_ROW_##type,                                                                     \
	  __VA_ARGS__ },
#define SETTING(NAME, field, type, fallback, help) ROW(NAME, field, type, fallback)
#define ENVIRONMENT_SETTING(NAME, field, type, fallback, help)                                     \
	ROW(NAME, field, type, fallback, .only_environment = true, .is_safe = true)
#define SAFE_SETTING(NAME, field, type, fallback, help)                                            \
	ROW(NAME, field, type, fallback, .is_safe = true)
#include "rules/settings.def"
#undef ROW
};

const struct settings_row *settings_named(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < SETTINGS; i++)
		if (strlen(settings_rows[i].name) == length &&
		    memcmp(settings_rows[i].name, name, length) == 0)
			return &settings_rows[i];
	return NULL;
}

bool settings_allow(const struct settings_row *row, const char *text)
{
	union {
		types_thresholds thresholds;
		uint64_t number;
		const char *text;
	} field;

	return row->parse(row, text, &field);
}

bool settings_take(struct gcpreload_settings *settings, const struct settings_asker *asker,
		   const struct settings_row *row, const char *text)
{
	void *field = (char *)settings + row->offset;
	bool allowed = row->parse(row, text, field);
	const char *copy =
	    allowed && row->is_text ? asker->keep(asker->arg, text, strlen(text)) : NULL;

	if (!allowed || (row->is_text && !copy)) {
		row->parse(row, row->fallback, field);
		return false;
	}
	if (row->is_text)
		*(const char **)field = copy;
	return true;
}

static void note_origin(const struct settings_asker *asker, const struct settings_row *row,
			enum settings_source source, int line, const char *text)
{
	if (asker->origins)
		asker->origins[row - settings_rows] =
		    (struct settings_origin){ source, line,
					      source ? asker->keep(asker->arg, text, strlen(text))
						     : row->fallback };
}

void settings_take_default(struct gcpreload_settings *settings, const struct settings_asker *asker,
			   const struct settings_row *row)
{
	row->parse(row, row->fallback, (char *)settings + row->offset);
	note_origin(asker, row, SETTINGS_FROM_DEFAULT, 0, NULL);
}

/* A text that stays, cut to what a process can show of it (ring/layout.h). */
static const char *why_observed(const struct gcpreload_settings *settings,
				const struct settings_asker *asker, const char *name,
				const char *text, int line)
{
	char why[128];
	const char *copy;

	if (line)
		snprintf(why, sizeof why, "unusable setting: %.20s=%.24s, line %d of %.40s", name,
			 text, line, settings->conf);
	else
		snprintf(why, sizeof why, "unusable setting: " PREFIX "%.20s=%.60s", name, text);
	copy = asker->keep(asker->arg, why, strlen(why));
	return copy ? copy : "a setting cannot be used";
}

/* What cannot be used: its default counts, or it is not known whether to tune. */
static void settings_refuse(struct gcpreload_settings *settings, const struct settings_asker *asker,
			    const struct settings_row *row, const char *text, const char *where,
			    int line)
{
	const size_t number = (size_t)(row - settings_rows);
	char sentence[1024], instead[80];

	note_origin(asker, row, SETTINGS_FROM_DEFAULT, 0, NULL);
	snprintf(instead, sizeof instead, "using '%s'", row->fallback);
	if (row->is_safe)
		settings->unusable[number] = why_observed(settings, asker, row->name, text, line);
	snprintf(sentence, sizeof sentence, "%s%s%s=%.100s: must be %s; %s", where,
		 line ? "" : PREFIX, row->name, text, row->allowed,
		 number == SETTINGS_DISABLE ? "the library is off"
		 : row->is_safe		    ? "nothing is tuned, only observed"
					    : instead);
	asker->complain(asker->arg, sentence);
}

static void settings_ignore(const struct settings_asker *asker, const char *where,
			    const char *prefix, const char *name, size_t length)
{
	char sentence[1024];

	snprintf(sentence, sizeof sentence,
		 "%s%s%.*s is not a setting of gcpreload, ignored ('gcpreload run --help' lists "
		 "them)",
		 where, prefix, (int)(length > 100 ? 100 : length), name);
	asker->complain(asker->arg, sentence);
}

/* "disable = 1" was meant to be more than a comment. */
static void refuse_in_file(struct gcpreload_settings *settings, const struct settings_asker *asker,
			   const struct settings_row *row, const char *text, const char *where,
			   int line)
{
	char sentence[1024];

	settings->unusable[SETTINGS] = why_observed(settings, asker, row->name, text, line);
	snprintf(sentence, sizeof sentence,
		 "%s%s counts in the environment only; nothing is tuned, only observed", where,
		 row->name);
	asker->complain(asker->arg, sentence);
}

void settings_set(struct gcpreload_settings *settings, const struct settings_asker *asker,
		  const char *name, size_t length, const char *text, int line)
{
	const struct settings_row *row = settings_named(name, length);
	char where[400] = "";

	if (line)
		snprintf(where, sizeof where, "line %d of %.300s: ", line, settings->conf);
	if (!row) {
		settings_ignore(asker, where, line ? "" : PREFIX, name, length);
	} else if (row->only_environment && line) {
		refuse_in_file(settings, asker, row, text, where, line);
	} else if (settings_take(settings, asker, row, text)) {
		settings->unusable[row - settings_rows] = NULL;
		note_origin(asker, row, line ? SETTINGS_FROM_FILE : SETTINGS_FROM_ENVIRONMENT, line,
			    text);
	} else {
		settings_refuse(settings, asker, row, text, where, line);
	}
}

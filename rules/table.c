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
	ROW(NAME, field, type, fallback, .only_environment = true)
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

/* Returns whether the text is allowed; else the default is taken. */
bool settings_take(struct gcpreload_settings *settings, const struct settings_asker *asker,
		   const struct settings_row *row, const char *text)
{
	void *field = (char *)settings + row->offset;

	if (!row->parse(row, text, field)) {
		row->parse(row, row->fallback, field);
		return false;
	}
	if (row->is_text)
		*(const char **)field = asker->keep(asker->arg, text, strlen(text));
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

void settings_set(struct gcpreload_settings *settings, const struct settings_asker *asker,
		  const char *name, size_t length, const char *text, int line)
{
	const struct settings_row *row = settings_named(name, length);
	const char *prefix = line ? "" : PREFIX;
	char sentence[1024], where[400] = "";

	if (line)
		snprintf(where, sizeof where, "line %d of %.300s: ", line, settings->conf);
	if (row && row->only_environment && line) {
		snprintf(sentence, sizeof sentence, "%s%s counts in the environment only, ignored",
			 where, row->name);
	} else if (!row) {
		snprintf(sentence, sizeof sentence,
			 "%s%s%.*s is not a setting of gcpreload, ignored ('gcpreload run --help' "
			 "lists them)",
			 where, prefix, (int)(length > 100 ? 100 : length), name);
	} else if (settings_take(settings, asker, row, text)) {
		note_origin(asker, row, line ? SETTINGS_FROM_FILE : SETTINGS_FROM_ENVIRONMENT, line,
			    text);
		return;
	} else {
		note_origin(asker, row, SETTINGS_FROM_DEFAULT, 0, NULL);
		snprintf(sentence, sizeof sentence, "%s%s%s=%.100s: must be %s; using '%s'", where,
			 prefix, row->name, text, row->allowed, row->fallback);
	}
	asker->complain(asker->arg, sentence);
}

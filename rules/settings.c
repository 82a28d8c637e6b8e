/* SPDX-License-Identifier: MIT */
#include "rules/settings.h"

#include <stdio.h>
#include <string.h>

#include "rules/command_line.h"
#include "rules/config.h"

#define PREFIX	      "GCPRELOAD_"
#define PREFIX_LENGTH (sizeof PREFIX - 1)

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

const char *settings_variable(char *const *environment, const char *name)
{
	size_t length = strlen(name);
	char *const *e;

	for (e = environment; e && *e; e++)
		if (strncmp(*e, name, length) == 0 && (*e)[length] == '=')
			return *e + length + 1;
	return NULL;
}

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

bool settings_disabled(char *const *environment)
{
	const char *text = settings_variable(environment, PREFIX "DISABLE");
	bool value = false;

	return text && types_boolean(&settings_rows[SETTINGS_DISABLE], text, &value) && value;
}

/* Returns whether the text is allowed; else the default is taken. */
static bool take_value(struct gcpreload_settings *settings, const struct settings_asker *asker,
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

static void take_default(struct gcpreload_settings *settings, const struct settings_asker *asker,
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
	} else if (take_value(settings, asker, row, text)) {
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

static void read_environment(struct gcpreload_settings *settings, char *const *environment,
			     const struct settings_asker *asker)
{
	char *const *e;

	for (e = environment; e && *e; e++) {
		const char *name = *e + PREFIX_LENGTH, *equals = strchr(*e, '=');

		if (strncmp(*e, PREFIX, PREFIX_LENGTH) == 0 && equals)
			settings_set(settings, asker, name, (size_t)(equals - name), equals + 1, 0);
	}
}

/* key=value,key=value, as the OpenTelemetry specification has it. Returns a copy or NULL. */
static const char *resource_attribute(char *const *environment, const char *key,
				      const struct settings_asker *asker)
{
	const char *at = settings_variable(environment, "OTEL_RESOURCE_ATTRIBUTES");
	size_t length = strlen(key);

	while (at && *at) {
		if (strncmp(at, key, length) == 0 && at[length] == '=') {
			at += length + 1;
			return asker->keep(asker->arg, at, strcspn(at, ","));
		}
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	return NULL;
}

static void read_service(struct gcpreload_settings *settings, char *const *environment,
			 const struct settings_asker *asker)
{
	const char *name = settings_variable(environment, "OTEL_SERVICE_NAME");

	if (!*settings->service_name && name)
		settings->service_name = asker->keep(asker->arg, name, strlen(name));
	if (!*settings->service_name)
		settings->service_name = resource_attribute(environment, "service.name", asker);
	settings->service_version = resource_attribute(environment, "service.version", asker);
	settings->service_environment =
	    resource_attribute(environment, "deployment.environment.name", asker);
	if (!settings->service_environment)
		settings->service_environment =
		    resource_attribute(environment, "deployment.environment", asker);
}

bool settings_match(const struct settings_asker *asker, const char *globs)
{
	const char *ancestor;

	if (command_line_matches(globs, asker->command_line(asker->arg, false)))
		return true;
	ancestor = asker->command_line(asker->arg, true);
	return *ancestor && command_line_matches(globs, ancestor);
}

void settings_resolve(struct gcpreload_settings *settings, char *const *environment,
		      const struct settings_asker *asker)
{
	const struct settings_row *conf = &settings_rows[SETTINGS_CONF];
	const char *asked_for = settings_variable(environment, PREFIX "CONF");
	bool named;
	size_t i;

	memset(settings, 0, sizeof *settings);
	for (i = 0; i < SETTINGS; i++)
		take_default(settings, asker, &settings_rows[i]);
	named = asked_for && take_value(settings, asker, conf, asked_for);
	if (*settings->conf)
		config_apply(settings, asker, named);
	read_environment(settings, environment, asker);
	read_service(settings, environment, asker);
	trigger_parse(&settings->triggers, settings->trigger);
	settings->excluded = (*settings->only && !settings_match(asker, settings->only)) ||
			     (*settings->except && settings_match(asker, settings->except));
}

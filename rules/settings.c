/* SPDX-License-Identifier: MIT */
#include "rules/settings.h"

#include <string.h>

#include "rules/config.h"
#include "rules/service_link.h"

#define PREFIX	      "GCPRELOAD_"
#define PREFIX_LENGTH (sizeof PREFIX - 1)

const char *settings_variable(char *const *environment, const char *name)
{
	size_t length = strlen(name);
	char *const *e;

	for (e = environment; e && *e; e++)
		if (strncmp(*e, name, length) == 0 && (*e)[length] == '=')
			return *e + length + 1;
	return NULL;
}

static bool take_disable(char *const *environment, bool *value)
{
	const char *text = settings_variable(environment, PREFIX "DISABLE");

	*value = false;
	return !text || types_boolean(&settings_rows[SETTINGS_DISABLE], text, value);
}

bool settings_disabled(char *const *environment)
{
	bool value;

	return !take_disable(environment, &value) || value;
}

bool settings_disable_is_unclear(char *const *environment)
{
	bool value;

	return !take_disable(environment, &value);
}

static void read_environment(struct gcpreload_settings *settings, char *const *environment,
			     const struct settings_asker *asker)
{
	char *const *e;

	for (e = environment; e && *e; e++) {
		const char *name = *e + PREFIX_LENGTH, *equals = strchr(*e, '=');

		if (strncmp(*e, PREFIX, PREFIX_LENGTH) == 0 && equals &&
		    !service_link_is(name, (size_t)(equals - name)))
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

	if (*settings->service_name)
		settings->service_from = GCPRELOAD_SERVICE_FROM_SETTING;
	else if (name && *name)
		settings->service_name = asker->keep(asker->arg, name, strlen(name));
	if (!settings->service_name || !*settings->service_name)
		settings->service_name = resource_attribute(environment, "service.name", asker);
	if (!settings->service_from && settings->service_name && *settings->service_name)
		settings->service_from = GCPRELOAD_SERVICE_FROM_OTEL;
	settings->service_version = resource_attribute(environment, "service.version", asker);
	settings->service_environment =
	    resource_attribute(environment, "deployment.environment.name", asker);
	if (!settings->service_environment)
		settings->service_environment =
		    resource_attribute(environment, "deployment.environment", asker);
}

/* Kubernetes' number of the pod of an indexed Job. */
static void read_index(struct gcpreload_settings *settings, char *const *environment)
{
	const char *text = settings_variable(environment, "JOB_COMPLETION_INDEX");
	const struct settings_row *row = &settings_rows[SETTINGS_SAMPLE_INDEX];

	if (settings->sample_index < 0 && text)
		row->parse(row, text, &settings->sample_index);
}

/* Nobody knows what was meant, and measuring is what harms nobody. */
static void observe_if_unusable(struct gcpreload_settings *settings,
				const struct settings_asker *asker)
{
	size_t i;

	for (i = 0; i <= SETTINGS && !settings->observes; i++)
		settings->observes = settings->unusable[i];
	if (!settings->observes ||
	    (settings->mode < GCPRELOAD_MODE_OBSERVE && !settings->unusable[SETTINGS_MODE]))
		return;
	settings->mode = GCPRELOAD_MODE_OBSERVE;
	if (asker->origins)
		asker->origins[SETTINGS_MODE] =
		    (struct settings_origin){ SETTINGS_FROM_UNUSABLE, 0, "observe" };
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
		settings_take_default(settings, asker, &settings_rows[i]);
	named = asked_for && settings_take(settings, asker, conf, asked_for);
	if (*settings->conf)
		config_apply(settings, asker, named);
	read_environment(settings, environment, asker);
	read_service(settings, environment, asker);
	read_index(settings, environment);
	trigger_parse(&settings->triggers, settings->trigger);
	settings->excluded = (*settings->only && !settings_match(asker, settings->only)) ||
			     (*settings->except && settings_match(asker, settings->except));
	observe_if_unusable(settings, asker);
}

/* SPDX-License-Identifier: MIT */
#include "preload/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preload/config.h"
#include "preload/log.h"

#define PREFIX	      "GCPRELOAD_"
#define PREFIX_LENGTH (sizeof PREFIX - 1)

/* Parsers, one for each type of settings.def: false if the text is not allowed. */
typedef bool parser(struct gcpreload_settings *settings, const char *text);

static const char *find(char **environment, const char *name)
{
	size_t length = strlen(name);
	char **e;

	for (e = environment; e && *e; e++)
		if (strncmp(*e, name, length) == 0 && (*e)[length] == '=')
			return *e + length + 1;
	return NULL;
}

static bool choose(const char *text, const char *const *words, int n, int *choice)
{
	int i;

	for (i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0) {
			*choice = i;
			return true;
		}
	return false;
}

static bool boolean(const char *text, bool *value)
{
	static const char *const words[] = { "0", "1", "false", "true", "no", "yes", "off", "on" };
	int i;

	if (!choose(text, words, 8, &i))
		return false;
	*value = i % 2;
	return true;
}

static bool number(const char *text, const char *end, long low, long high, long *value)
{
	char *after;

	errno = 0;
	*value = strtol(text, &after, 10);
	return after != text && after == end && !errno && *value >= low && *value <= high &&
	       *text >= '0' && *text <= '9';
}

/* Titles of processes are written over the environment (setproctitle): what is kept is copied.
 * Never freed; read a few times at most. */
static const char *keep(const char *text)
{
	static char kept[32768];
	static size_t used;
	size_t size = strlen(text) + 1;
	char *copy = kept + used;

	if (size > sizeof kept - used)
		return "";
	used += size;
	return memcpy(copy, text, size);
}

static bool set_DISABLE(struct gcpreload_settings *settings, const char *text)
{
	bool value;

	(void)settings;
	return boolean(text, &value);
}

static bool set_MODE(struct gcpreload_settings *settings, const char *text)
{
	static const char *const words[] = { "off", "observe", "freeze", "idle" };
	int mode;

	if (!choose(text, words, GCPRELOAD_MODES, &mode))
		return false;
	settings->mode = (enum gcpreload_mode)mode;
	return true;
}

static bool set_TRIGGER(struct gcpreload_settings *settings, const char *text)
{
	settings->trigger = keep(text);
	return trigger_parse(&settings->triggers, text);
}

static bool milliseconds(const char *text, long least, uint64_t *ns)
{
	long value;

	if (!number(text, text + strlen(text), least, 1000000, &value))
		return false;
	*ns = (uint64_t)value * 1000000u;
	return true;
}

static bool set_YOUNG_MS(struct gcpreload_settings *settings, const char *text)
{
	return milliseconds(text, 0, &settings->young_ns);
}

static bool set_BUDGET_MS(struct gcpreload_settings *settings, const char *text)
{
	return milliseconds(text, 1, &settings->budget_ns);
}

static bool set_SLOW_MS(struct gcpreload_settings *settings, const char *text)
{
	return milliseconds(text, 0, &settings->slow_ns);
}

static bool set_BASELINE(struct gcpreload_settings *settings, const char *text)
{
	return trigger_seconds(text, text + strlen(text), &settings->baseline_ns);
}

static bool set_ONLY(struct gcpreload_settings *settings, const char *text)
{
	settings->only = keep(text);
	return true;
}

static bool set_EXCEPT(struct gcpreload_settings *settings, const char *text)
{
	settings->except = keep(text);
	return true;
}

static bool set_CONF(struct gcpreload_settings *settings, const char *text)
{
	settings->conf = keep(text);
	return !*text || *text == '/';
}

static bool set_THRESHOLDS(struct gcpreload_settings *settings, const char *text)
{
	int32_t thresholds[GCPRELOAD_GENERATIONS];
	int i;

	for (i = 0; i < GCPRELOAD_GENERATIONS; i++) {
		const char *end =
		    i < GCPRELOAD_GENERATIONS - 1 ? strchr(text, ',') : text + strlen(text);
		long value;

		if (!end)
			return false;
		if (end - text == 4 && memcmp(text, "keep", 4) == 0)
			value = GCPRELOAD_KEEP;
		else if (!number(text, end, 1, INT_MAX, &value))
			return false;
		thresholds[i] = (int32_t)value;
		text = end + 1;
	}
	memcpy(settings->thresholds, thresholds, sizeof thresholds);
	return true;
}

static bool set_DIR(struct gcpreload_settings *settings, const char *text)
{
	settings->dir = keep(text);
	return *text == '/' && strlen(text) < PATH_MAX;
}

static bool set_RING(struct gcpreload_settings *settings, const char *text)
{
	static const char *const words[] = { "auto", "require", "off" };
	int use;

	if (!choose(text, words, 3, &use))
		return false;
	settings->ring = (enum gcpreload_ring_use)use;
	return true;
}

static bool set_GROUP(struct gcpreload_settings *settings, const char *text)
{
	long value = -1;

	if (*text && !number(text, text + strlen(text), 0, UINT_MAX - 1L, &value))
		return false;
	settings->group = value;
	return true;
}

static bool set_FORCE(struct gcpreload_settings *settings, const char *text)
{
	return boolean(text, &settings->force);
}

static bool set_STARTUP_GC(struct gcpreload_settings *settings, const char *text)
{
	return boolean(text, &settings->startup_gc);
}

/* In millionths; "0.25" whatever the locale, so not by strtod. */
static bool set_SAMPLE(struct gcpreload_settings *settings, const char *text)
{
	uint32_t value = 0, unit = 1000000;

	if (*text != '0' && *text != '1')
		return false;
	value = (uint32_t)(*text++ - '0') * unit;
	if (*text == '.' && text[1])
		for (text++; *text >= '0' && *text <= '9'; text++)
			value += (uint32_t)(*text - '0') * (unit /= 10);
	if (*text || value > 1000000)
		return false;
	settings->sample = value;
	return true;
}

static bool set_SAMPLE_BY(struct gcpreload_settings *settings, const char *text)
{
	static const char *const words[] = { "pod", "process" };
	int by;

	if (!choose(text, words, 2, &by))
		return false;
	settings->sample_by_process = by == 1;
	return true;
}

static bool set_SERVICE(struct gcpreload_settings *settings, const char *text)
{
	settings->service_name = keep(text);
	return true;
}

static bool set_LOG(struct gcpreload_settings *settings, const char *text)
{
	static const char *const words[] = { "none", "error", "warning", "info", "debug" };
	int level;

	if (!choose(text, words, 5, &level))
		return false;
	settings->log_level = (enum gcpreload_log_level)level;
	return true;
}

static bool set_LOG_FILE(struct gcpreload_settings *settings, const char *text)
{
	settings->log_file = keep(text);
	return !*text || *text == '/';
}

static const struct entry {
	const char *name;
	const char *fallback;
	const char *allowed;
	parser *set;
} entries[] = {
#define SETTING(name, type, fallback, allowed, help) { #name, fallback, allowed, set_##name },
#include "rules/settings.def"
#undef SETTING
};

#define N_ENTRIES (sizeof entries / sizeof *entries)

bool settings_disabled(char **environment)
{
	const char *text = find(environment, PREFIX "DISABLE");
	bool value = false;

	return text && boolean(text, &value) && value;
}

static const struct entry *entry_named(const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < N_ENTRIES; i++)
		if (strlen(entries[i].name) == length && memcmp(entries[i].name, name, length) == 0)
			return &entries[i];
	return NULL;
}

void settings_set(struct gcpreload_settings *settings, const char *name, size_t name_length,
		  const char *value, const char *where, settings_complain *complain)
{
	const struct entry *entry = entry_named(name, name_length);
	const char *prefix = *where ? "" : PREFIX;
	char sentence[1024];

	if (!entry) {
		snprintf(sentence, sizeof sentence,
			 "%s%s%.*s is not a setting of gcpreload, ignored ('gcpreload run --help' "
			 "lists them)",
			 where, prefix, (int)(name_length > 100 ? 100 : name_length), name);
		complain(sentence);
	} else if (!entry->set(settings, value)) {
		entry->set(settings, entry->fallback);
		snprintf(sentence, sizeof sentence, "%s%s%s=%.100s: must be %s; using '%s'", where,
			 prefix, entry->name, value, entry->allowed, entry->fallback);
		complain(sentence);
	}
}

static void read_environment(struct gcpreload_settings *settings, char **environment,
			     settings_complain *complain)
{
	char **e;

	for (e = environment; e && *e; e++) {
		const char *name = *e + PREFIX_LENGTH, *equals = strchr(*e, '=');

		if (strncmp(*e, PREFIX, PREFIX_LENGTH) == 0 && equals)
			settings_set(settings, name, (size_t)(equals - name), equals + 1, "",
				     complain);
	}
}

/* key=value,key=value, as the OpenTelemetry specification has it. The value is not terminated
 * in place, so it is copied into a buffer that lives as long as the process. */
static const char *resource_attribute(char **environment, const char *key, char *buffer,
				      size_t size)
{
	const char *at = find(environment, "OTEL_RESOURCE_ATTRIBUTES");
	size_t length = strlen(key), n;

	while (at && *at) {
		if (strncmp(at, key, length) == 0 && at[length] == '=') {
			at += length + 1;
			n = strcspn(at, ",");
			snprintf(buffer, size, "%.*s", (int)(n < size ? n : size - 1), at);
			return buffer;
		}
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	return NULL;
}

static void read_service(struct gcpreload_settings *settings, char **environment)
{
	static char name[64], version[64], environment_name[64];

	if (!*settings->service_name)
		settings->service_name = find(environment, "OTEL_SERVICE_NAME");
	if (settings->service_name)
		settings->service_name = keep(settings->service_name);
	if (!settings->service_name || !*settings->service_name)
		settings->service_name =
		    resource_attribute(environment, "service.name", name, sizeof name);
	settings->service_version =
	    resource_attribute(environment, "service.version", version, sizeof version);
	settings->service_environment = resource_attribute(
	    environment, "deployment.environment.name", environment_name, sizeof environment_name);
	if (!settings->service_environment)
		settings->service_environment =
		    resource_attribute(environment, "deployment.environment", environment_name,
				       sizeof environment_name);
}

static unsigned unsaid;

static void say_later(const char *sentence)
{
	(void)sentence;
	unsaid++;
}

static void read_all(struct gcpreload_settings *settings, char **environment,
		     settings_complain *complain)
{
	const char *conf = find(environment, PREFIX "CONF");
	size_t i;

	for (i = 0; i < N_ENTRIES; i++)
		entries[i].set(settings, entries[i].fallback);
	if (conf && !set_CONF(settings, conf))
		set_CONF(settings, "");
	if (*settings->conf)
		config_read(settings, settings->conf, conf != NULL, complain);
	read_environment(settings, environment, complain);
	read_service(settings, environment);
}

void settings_read(struct gcpreload_settings *settings, char **environment,
		   settings_complain *complain)
{
	memset(settings, 0, sizeof *settings);
	/* Once in silence: what is said about bad settings goes where the settings of the log say,
	 * and an excluded process says nothing. */
	unsaid = 0;
	read_all(settings, environment, say_later);
	settings->excluded = (*settings->only && !config_matches(settings->only)) ||
			     (*settings->except && config_matches(settings->except));
	log_configure(settings->log_level, settings->log_file);
	if (unsaid && !settings->excluded && complain)
		read_all(settings, environment, complain);
}

/* SPDX-License-Identifier: MIT */
#include "cli/export/otlp_config.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/memory.h"
#include "cli/text.h"

#define DEFAULT_ENDPOINT "http://localhost:4318"
#define PATH		 "/v1/metrics"
#define GENERAL		 "OTEL_EXPORTER_OTLP_"
#define OF_METRICS	 "OTEL_EXPORTER_OTLP_METRICS_"

/* The specification: empty is as good as unset. */
static const char *otlp_config_variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* The metrics' own variable goes before the one for every signal. *said is the name of the one
 * that was taken, for messages. */
static const char *exporter_setting(const char *suffix, char said[64])
{
	const char *value;

	snprintf(said, 64, OF_METRICS "%s", suffix);
	value = otlp_config_variable(said);
	if (value)
		return value;
	snprintf(said, 64, GENERAL "%s", suffix);
	return otlp_config_variable(said);
}

static long long otlp_config_milliseconds(const char *name, const char *value, long long otherwise)
{
	long long number;

	if (!value || text_number(value, 1, INT_MAX, &number) == 0)
		return value ? number : otherwise;
	text_complain("%s: %s: not a number of milliseconds; using %lld", name, value, otherwise);
	return otherwise;
}

/* ---- lists: key=value,key=value ---- */

/* A key that is there already gets the new value. */
static void otlp_config_put(struct otlp_pairs *pairs, char *key, char *value)
{
	size_t i;

	for (i = 0; i < pairs->n && strcmp(pairs->list[i].key, key) != 0; i++)
		;
	if (i < pairs->n) {
		free(pairs->list[i].key);
		free(pairs->list[i].value);
	} else {
		pairs->list = memory_need(realloc(pairs->list, (i + 1) * sizeof *pairs->list));
		pairs->n = i + 1;
	}
	pairs->list[i] = (struct otlp_pair){ key, value };
}

/* Without the blanks around it and percent-decoded; NULL where a %00 would end it early. */
static char *otlp_config_decoded(const char *text, size_t n)
{
	char *plain, *copy = NULL;
	int length;

	for (; n && strchr(" \t", *text); text++)
		n--;
	while (n && strchr(" \t", text[n - 1]))
		n--;
	if (!n) /* curl takes a length of 0 for "find out" */
		return memory_need(strdup(""));
	plain =
	    memory_need(curl_easy_unescape(NULL, text, n < INT_MAX ? (int)n : INT_MAX, &length));
	if (!memchr(plain, '\0', (size_t)length))
		copy = memory_need(strdup(plain));
	curl_free(plain);
	return copy;
}

typedef bool acceptable(const char *key, const char *value);

static bool is_attribute(const char *key, const char *value)
{
	(void)value;
	return *key;
}

/* RFC 9110: a name is a token, and no value may begin a new line. */
static bool is_header(const char *key, const char *value)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char *const ours[] = { "Content-Type", "Content-Encoding", "Content-Length",
					    "Transfer-Encoding" };
	size_t i;

	for (i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strcasecmp(key, ours[i]) == 0)
			return false;
	return *key && !key[strspn(key, token)] && !strpbrk(value, "\r\n");
}

/* Values may be secrets, so a message has the name of the variable and a number. */
static void read_pairs(struct otlp_pairs *pairs, const char *name, const char *text,
		       acceptable *accept)
{
	unsigned number = 1;
	const char *end;

	for (; text && *text; text = *end ? end + 1 : end, number++) {
		const char *equals;
		char *key, *value = NULL;

		end = text + strcspn(text, ",");
		if (text + strspn(text, " \t") == end)
			continue;
		equals = memchr(text, '=', (size_t)(end - text));
		key = otlp_config_decoded(text, (size_t)((equals ? equals : end) - text));
		if (equals)
			value = otlp_config_decoded(equals + 1, (size_t)(end - equals - 1));
		if (key && value && accept(key, value)) {
			otlp_config_put(pairs, key, value);
			continue;
		}
		text_complain(
		    "%s: entry %u is invalid and ignored; the format is KEY=VALUE,KEY=VALUE, "
		    "percent-encoded",
		    name, number);
		free(key);
		free(value);
	}
}

static void otlp_config_forget(struct otlp_pairs *pairs)
{
	size_t i;

	for (i = 0; i < pairs->n; i++) {
		free(pairs->list[i].key);
		free(pairs->list[i].value);
	}
	free(pairs->list);
}

/* ---- the URL ---- */

static char *otlp_config_part(CURLU *url, CURLUPart what)
{
	char *text = NULL, *copy;

	if (curl_url_get(url, what, &text, 0) != CURLUE_OK)
		return NULL;
	copy = memory_need(strdup(text));
	curl_free(text);
	return copy;
}

static void append_path(CURLU *url)
{
	char *path = otlp_config_part(url, CURLUPART_PATH), *whole;
	size_t n = path ? strlen(path) : 0;

	while (n && path[n - 1] == '/')
		n--;
	whole = format_text("%.*s" PATH, (int)n, path ? path : "");
	curl_url_set(url, CURLUPART_PATH, whole, 0);
	free(whole);
	free(path);
}

static int read_url(struct otlp_config *config, const char *endpoint)
{
	char name[64] = "--otlp";
	const char *text = endpoint ? endpoint : exporter_setting("ENDPOINT", name);
	bool whole = strncmp(name, OF_METRICS, sizeof OF_METRICS - 1) == 0;
	CURLU *url = memory_need(curl_url());
	char *scheme = NULL;
	int ret = -1;

	if (curl_url_set(url, CURLUPART_URL, text ? text : DEFAULT_ENDPOINT, 0) == CURLUE_OK)
		scheme = otlp_config_part(url, CURLUPART_SCHEME);
	if (!scheme || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
		text_complain("%s: not a valid collector URL; use http://HOST:4318", name);
		goto out;
	}
	if (!whole)
		append_path(url);
	config->url = memory_need(otlp_config_part(url, CURLUPART_URL));
	curl_url_set(url, CURLUPART_USER, NULL, 0);
	curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
	curl_url_set(url, CURLUPART_QUERY, NULL, 0);
	config->shown = memory_need(otlp_config_part(url, CURLUPART_URL));
	ret = 0;
out:
	free(scheme);
	curl_url_cleanup(url);
	return ret;
}

/* ---- the rest ---- */

/* The specification's default is the other one; ours loses nothing. */
static void read_histogram(struct otlp_config *config)
{
	static const char name[] = OF_METRICS "DEFAULT_HISTOGRAM_AGGREGATION";
	const char *value = otlp_config_variable(name);

	config->explicit_histograms = value && strcasecmp(value, "explicit_bucket_histogram") == 0;
	if (value && !config->explicit_histograms &&
	    strcasecmp(value, "base2_exponential_bucket_histogram") != 0)
		text_complain("%s: %s: not explicit_bucket_histogram or "
			      "base2_exponential_bucket_histogram; using the latter",
			      name, value);
}

static void read_choices(struct otlp_config *config)
{
	static const char temporality_of[] = OF_METRICS "TEMPORALITY_PREFERENCE";
	const char *temporality = otlp_config_variable(temporality_of), *value;
	char name[64];

	value = exporter_setting("PROTOCOL", name);
	if (value && strcmp(value, "http/json") != 0)
		text_complain(
		    "%s: %s: not supported; using http/json, which collectors accept on the "
		    "port of http/protobuf, 4318",
		    name, value);
	value = exporter_setting("COMPRESSION", name);
	config->gzip = value && strcmp(value, "gzip") == 0;
	if (value && !config->gzip && strcmp(value, "none") != 0)
		text_complain("%s: %s: not gzip or none; using none", name, value);
	if (!temporality || strcasecmp(temporality, "cumulative") == 0)
		return;
	/* Counters that are read from elsewhere are asynchronous ones, which stay cumulative. */
	config->delta_histograms = true;
	config->delta_sums = strcasecmp(temporality, "lowmemory") != 0;
	if (!config->delta_sums || strcasecmp(temporality, "delta") == 0)
		return;
	config->delta_histograms = config->delta_sums = false;
	text_complain("%s: %s: not cumulative, delta or lowmemory; using cumulative",
		      temporality_of, temporality);
}

int otlp_config_read(struct otlp_config *config, const char *endpoint)
{
	static const char attributes[] = "OTEL_RESOURCE_ATTRIBUTES",
			  interval[] = "OTEL_METRIC_EXPORT_INTERVAL",
			  export_timeout[] = "OTEL_METRIC_EXPORT_TIMEOUT";
	const char *value = otlp_config_variable("OTEL_SDK_DISABLED");
	char name[64];

	memset(config, 0, sizeof *config);
	config->disabled = value && strcasecmp(value, "true") == 0;
	if (read_url(config, endpoint) < 0)
		return -1;
	read_choices(config);
	read_histogram(config);
	value = exporter_setting("HEADERS", name);
	read_pairs(&config->headers, name, value, is_header);
	read_pairs(&config->attributes, attributes, otlp_config_variable(attributes), is_attribute);
	value = otlp_config_variable("OTEL_SERVICE_NAME");
	if (value)
		otlp_config_put(&config->attributes, memory_need(strdup("service.name")),
				memory_need(strdup(value)));
	value = exporter_setting("TIMEOUT", name);
	config->timeout_ms = otlp_config_milliseconds(name, value, 10000);
	config->interval_ms =
	    otlp_config_milliseconds(interval, otlp_config_variable(interval), 60000);
	config->export_timeout_ms =
	    otlp_config_milliseconds(export_timeout, otlp_config_variable(export_timeout), 30000);
	config->certificate = exporter_setting("CERTIFICATE", name);
	config->client_key = exporter_setting("CLIENT_KEY", name);
	config->client_certificate = exporter_setting("CLIENT_CERTIFICATE", name);
	return 0;
}

void otlp_config_free(struct otlp_config *config)
{
	otlp_config_forget(&config->headers);
	otlp_config_forget(&config->attributes);
	free(config->url);
	free(config->shown);
}

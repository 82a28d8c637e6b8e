/* SPDX-License-Identifier: MIT */
/* Where and how to push: OpenTelemetry's own environment variables. */
#ifndef GCPRELOAD_CLI_EXPORT_OTLP_CONFIG_H
#define GCPRELOAD_CLI_EXPORT_OTLP_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct otlp_pair {
	char *key, *value;
};

struct otlp_pairs {
	struct otlp_pair *list;
	size_t n;
};

struct otlp_config {
	char *url;   /* of the metrics */
	char *shown; /* the same for people: without user, password and query */
	struct otlp_pairs headers;
	struct otlp_pairs attributes; /* of every resource, where its rings do not say more */
	const char *certificate, *client_key, *client_certificate; /* files, or NULL */
	long long timeout_ms;					   /* of a request */
	long long interval_ms, export_timeout_ms;
	bool gzip;
	bool delta_sums, delta_histograms; /* else cumulative */
	bool explicit_histograms;	   /* else exponential */
	bool disabled;			   /* OTEL_SDK_DISABLED */
};

/* Reads the environment. endpoint: the option's, which goes before, or NULL. What is wrong and can
 * be done without is said and left out. Returns 0, or -1 when it was said that there is nowhere to
 * push to. */
int otlp_config_read(struct otlp_config *config, const char *endpoint);

void otlp_config_free(struct otlp_config *config);

#endif

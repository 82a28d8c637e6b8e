/* SPDX-License-Identifier: MIT */
/* One message to a collector, over HTTP by libcurl. */
#ifndef GCPRELOAD_CLI_EXPORT_OTLP_SEND_H
#define GCPRELOAD_CLI_EXPORT_OTLP_SEND_H

#include <stdatomic.h>
#include <stdint.h>

#include "cli/export/otlp_config.h"

struct otlp_sender;

enum otlp_answer {
	OTLP_ARRIVED,
	OTLP_REFUSED, /* it must not be tried again */
	OTLP_LATER,   /* it may be: no connection, or 429, 502, 503, 504 */
};

struct otlp_result {
	enum otlp_answer answer;
	long wait_s; /* what Retry-After says, 0: nothing */
	char *why;   /* for people, or NULL; of what arrived: the collector's warning */
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t otlp_clock(void);

/* give_up: a time at which every request is broken off; another thread may set it. */
struct otlp_sender *otlp_sender_new(const struct otlp_config *config, _Atomic uint64_t *give_up);

/* result->why is to be freed. */
void otlp_send(struct otlp_sender *sender, const char *body, size_t size,
	       struct otlp_result *result);

void otlp_sender_free(struct otlp_sender *sender);

#endif

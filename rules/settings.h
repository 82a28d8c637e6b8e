/* SPDX-License-Identifier: MIT */
/* What the settings of settings.def ask for. */
#ifndef GCPRELOAD_RULES_SETTINGS_H
#define GCPRELOAD_RULES_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/vocabulary.h"
#include "rules/trigger.h"

enum gcpreload_ring_use { GCPRELOAD_RING_AUTO, GCPRELOAD_RING_REQUIRE, GCPRELOAD_RING_OFF };

#define GCPRELOAD_KEEP 0 /* a threshold that stays as it is */

/* Texts are the owner's, and stay as long as this does. */
struct gcpreload_settings {
	enum gcpreload_mode mode;
	enum gcpreload_ring_use ring;
	bool force;
	bool startup_gc;	/* GCPRELOAD_STARTUP_GC */
	uint64_t slow_ns;	/* GCPRELOAD_SLOW_MS; 0: no collection is logged */
	uint32_t sample;	/* GCPRELOAD_SAMPLE, in millionths */
	bool sample_by_process; /* GCPRELOAD_SAMPLE_BY; else by host name */
	int32_t thresholds[GCPRELOAD_GENERATIONS];
	uint64_t young_ns;  /* GCPRELOAD_YOUNG_MS; 0: threshold0 is not adapted */
	uint64_t budget_ns; /* GCPRELOAD_BUDGET_MS */
	const char *dir;
	int64_t group; /* or -1 */
	const char *trigger;
	struct trigger_list triggers; /* the same, parsed */
	uint64_t baseline_ns;
	const char *service_name;
	const char *service_version;
	const char *service_environment;
	enum gcpreload_log_level log_level;
	const char *log_file;
	const char *only;
	const char *except;
	const char *conf;
	bool excluded; /* by ONLY or EXCEPT */
};

#endif

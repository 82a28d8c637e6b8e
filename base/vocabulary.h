/* SPDX-License-Identifier: MIT */
/* Words that the settings, the ring and the engine share: one spelling each. The numbers are part
 * of the ring's format (ring/layout.h). */
#ifndef GCPRELOAD_BASE_VOCABULARY_H
#define GCPRELOAD_BASE_VOCABULARY_H

#define GCPRELOAD_GENERATIONS 3

enum gcpreload_mode {
	GCPRELOAD_MODE_OFF,
	GCPRELOAD_MODE_OBSERVE,
	GCPRELOAD_MODE_FREEZE,
	GCPRELOAD_MODE_IDLE,	   /* 1.1 */
	GCPRELOAD_MODE_CONCURRENT, /* 1.2 */
	GCPRELOAD_MODES
};

/* 1.1: what GCPRELOAD_SAMPLE has decided. */
enum gcpreload_sample {
	GCPRELOAD_SAMPLE_NONE, /* everything is tuned */
	GCPRELOAD_SAMPLE_TUNED,
	GCPRELOAD_SAMPLE_UNTUNED,
	GCPRELOAD_SAMPLES
};

/* 1.3: where the name of a service comes from. */
enum gcpreload_service_from {
	GCPRELOAD_SERVICE_FROM_UNKNOWN,
	GCPRELOAD_SERVICE_FROM_SETTING, /* GCPRELOAD_SERVICE, or the settings file */
	GCPRELOAD_SERVICE_FROM_OTEL,	/* OTEL_SERVICE_NAME, or service.name of the resource */
	GCPRELOAD_SERVICE_FROM_UNIT,	/* of systemd */
	GCPRELOAD_SERVICE_FROM_POD,
	GCPRELOAD_SERVICE_FROM_CONTAINER,
	GCPRELOAD_SERVICE_FROM_COMMAND,
	GCPRELOAD_SERVICE_FROMS
};

#endif

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

#endif

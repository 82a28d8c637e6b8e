/* SPDX-License-Identifier: MIT */
/*
 * Mode freeze's threshold0, and when GCPRELOAD_STARTUP_GC=0 ends: decisions, and nothing else. No
 * clock, no Python, no system call. Times are ns, counts are objects.
 */
#ifndef GCPRELOAD_ENGINE_PACER_H
#define GCPRELOAD_ENGINE_PACER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/machine.h"

struct pacer_limits {
	uint64_t young_ns; /* GCPRELOAD_YOUNG_MS */
	int32_t least;	   /* the interpreter's own */
	int32_t top;	   /* of GCPRELOAD_THRESHOLDS */
	bool asked;	   /* top is not the default, and stands until something was measured */
};

struct pacer {
	struct pacer_limits limits;
	int32_t threshold0; /* what it should be now */
	double cost;	    /* ns an object, by automatic collections: near the worst */
	int32_t batch;	    /* objects in the last of these; 0: none yet */
};

/* At readiness: frozen objects, and how long the collection before the freeze took. */
void pacer_begin(struct pacer *pacer, const struct pacer_limits *limits, uint64_t frozen,
		 uint64_t ready_ns);

/* An automatic collection of a young generation has ended. */
void pacer_automatic(struct pacer *pacer, uint64_t duration);

/* GCPRELOAD_STARTUP_GC=0, which keeps the garbage of the start. */
struct pacer_startup {
	uint64_t began_ns;
	uint64_t resident;
};

void pacer_startup_begin(struct pacer_startup *startup, uint64_t now,
			 const struct machine *machine);

/* Why collections must find something again, or NULL. */
const char *pacer_startup_over(const struct pacer_startup *startup, uint64_t now,
			       const struct machine *machine);

#endif

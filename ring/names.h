/* SPDX-License-Identifier: MIT */
/* The names of the files in a directory of rings. */
#ifndef GCPRELOAD_RING_NAMES_H
#define GCPRELOAD_RING_NAMES_H

#include <stdbool.h>

#include "ring/layout.h"

/* Room for retired.other and .retired.other.new. */
#define RING_RETIRED_NAME 24

/* What a name in the directory is; nothing else is ever touched. */
enum gcpreload_sweep_kind {
	GCPRELOAD_SWEEP_OTHER,
	GCPRELOAD_SWEEP_RING,	 /* PID.START.RANDOM */
	GCPRELOAD_SWEEP_CONTROL, /* PID.START.RANDOM.ctl */
	GCPRELOAD_SWEEP_HALF, /* .PID.START.RANDOM.new, .PID.START.RANDOM.ctl.new, .retired.N.new */
	GCPRELOAD_SWEEP_TOTALS, /* retired.N */
	GCPRELOAD_SWEEP_FAMILY, /* .family.PID.START, a lock (family.h) */
};

enum gcpreload_sweep_kind gcpreload_sweep_kind(const char *name);

/* The name of file i of GCPRELOAD_RETIRED_FILES (retired.h); hidden: while it is being made. */
void ring_retired_name_of(char name[RING_RETIRED_NAME], unsigned i, bool hidden);

/* Whether a name is one of these. */
bool gcpreload_retired_name(const char *name, bool hidden);

#endif

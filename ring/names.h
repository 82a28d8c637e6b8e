/* SPDX-License-Identifier: MIT */
/* The names of the files in a directory of rings: what each is. Nothing else is ever touched. */
#ifndef GCPRELOAD_RING_NAMES_H
#define GCPRELOAD_RING_NAMES_H

#include <stdbool.h>

enum gcpreload_name {
	GCPRELOAD_NAME_OTHER,
	GCPRELOAD_NAME_RING,	/* PID.START.RANDOM */
	GCPRELOAD_NAME_CONTROL, /* PID.START.RANDOM.ctl */
	GCPRELOAD_NAME_PROCESS, /* PID.START.ctl */
	GCPRELOAD_NAME_HALF,	/* .PID.START.RANDOM.new, .PID.START.RANDOM.ctl.new, .retired.N.new,
				   .all.ctl.new, .service.NAME.ctl.new, .PID.START.ctl.new */
	GCPRELOAD_NAME_TOTALS,	/* retired.N */
	GCPRELOAD_NAME_FAMILY,	/* .family.PID.START, a lock (family.h) */
};

enum gcpreload_name gcpreload_name_kind(const char *name);

/* Room for retired.other and .retired.other.new. */
#define RING_RETIRED_NAME 24

/* That of file i of GCPRELOAD_RETIRED_FILES; hidden: of one that is being made. */
void ring_retired_name(char name[RING_RETIRED_NAME], unsigned i, bool hidden);

/* Whether a name is one of these. */
bool gcpreload_retired_name(const char *name, bool hidden);

#endif

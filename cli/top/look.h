/* SPDX-License-Identifier: MIT */
/* A look at all rings, and what changed since the one before. Rings are opened one at a time, and
 * only one is kept whole: the process that is shown on a screen of its own. */
#ifndef GCPRELOAD_CLI_TOP_LOOK_H
#define GCPRELOAD_CLI_TOP_LOOK_H

#include "cli/top/model.h"

#define LOOK_EVENTS 100

struct look_list {
	struct model_process *list;
	size_t n, room;
	uint64_t ns; /* when, CLOCK_MONOTONIC */
};

struct look {
	struct look_list now;
	struct look_list before; /* what the rates of now are about */
	int64_t to_realtime_ns;
	char *where;
	char *message; /* what could not be looked at; NULL: nothing */

	/* The process that is shown whole, where opened names one. */
	char *opened_dir, *opened_name;
	bool found; /* in this look; else what follows is from an earlier one, or nothing */
	struct snapshot snapshot;
	struct gcpreload_slot events[LOOK_EVENTS]; /* the newest first */
	size_t n_events;
};

/* Looks anew. Rates are about the time since the last look that is at least so many seconds old. */
void look_take(struct look *look, const struct rings_choice *choice, double seconds);

/* From the next look on this process is kept whole; NULL: none. */
void look_open(struct look *look, const char *dir, const char *name);

/* The process that is opened, as listed, or NULL. */
const struct model_process *look_opened(const struct look *look);

void look_free(struct look *look);

#endif

/* SPDX-License-Identifier: MIT */
/* A process as top lists it: a few numbers of a snapshot, and what changed between two looks. */
#ifndef GCPRELOAD_CLI_TOP_MODEL_H
#define GCPRELOAD_CLI_TOP_MODEL_H

#include "cli/snapshot.h"

struct model_process {
	char *dir; /* with the name of the ring, unique in the world */
	char *name;
	char *why; /* it cannot be read, and nothing below is known; else NULL */
	bool alive;
	bool due;
	int32_t pid;
	const char *state;
	const char *mode;
	int64_t frozen; /* -1: never counted */
	char service[64];
	char command[256];

	/* Of the present period; what comes once in a process's life is left out of the pauses. */
	double share;	     /* of the time in collections; -1: unknown, also below */
	uint64_t longest_ns; /* in requests */
	uint64_t p99_ns[GCPRELOAD_GENERATIONS];

	/* Since it was seen. */
	uint64_t gc_ns[GCPRELOAD_GENERATIONS];
	uint64_t collections[GCPRELOAD_GENERATIONS];

	/* Between two looks, of all collections. */
	double share_now;
	double share_now_of[GCPRELOAD_GENERATIONS];
	double per_second[GCPRELOAD_GENERATIONS];
};

/* Fills p from a snapshot; what is between two looks is unknown then. */
void model_take(struct model_process *p, const struct snapshot *s);
void model_clear(struct model_process *p);

/* What changed since the same process was looked at, so many seconds ago. */
void model_since(struct model_process *p, const struct model_process *before, double seconds);

/* Orders by directory and name. */
int model_by_name(const struct model_process *a, const struct model_process *b);

enum model_sort {
	MODEL_BY_NOW,
	MODEL_BY_SHARE,
	MODEL_BY_LONGEST,
	MODEL_BY_P99, /* of the oldest generation */
	MODEL_BY_FROZEN,
	MODEL_BY_PID,
	MODEL_BY_COMMAND,
	MODEL_SORTS
};

/* Numbers from the highest, pids and texts from the lowest; living processes before ended ones,
 * and these before what cannot be read. */
void model_sort(const struct model_process **list, size_t n, enum model_sort by);

#endif

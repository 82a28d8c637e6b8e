/* SPDX-License-Identifier: MIT */
/* The pods of a fleet, out of saved files of report --json. */
#ifndef GCPRELOAD_CLI_FLEET_READ_H
#define GCPRELOAD_CLI_FLEET_READ_H

#include <stdbool.h>
#include <stddef.h>

/* What served in a pod. */
enum fleet_side {
	FLEET_UNTUNED, /* processes that were never tuned */
	FLEET_TUNED,
	FLEET_EARLIER, /* the baseline of processes that were tuned afterwards */
	FLEET_SIDES
};

struct fleet_sums {
	double seconds, cpu_seconds, collections, in_requests;
};

/* One side of one pod, of one service and version: an observation. */
struct fleet_pod {
	char *name; /* its host name, or the file where that is not known */
	char *service, *version;
	enum fleet_side side;
	struct fleet_sums all, steady; /* steady: without the first minutes */
	bool load_unknown;
};

struct fleet {
	struct fleet_pod *pods;
	size_t n_pods;
	struct fleet_process {
		char *key;
		const char *file;
	} * processes;
	size_t n_processes;
};

/* Adds a file; path must live as long as the fleet. Returns 0, or -1 with the reason said. */
int fleet_read(struct fleet *fleet, const char *path);
void fleet_free(struct fleet *fleet);

#endif

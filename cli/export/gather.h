/* SPDX-License-Identifier: MIT */
/*
 * All processes of some directories, summed up by service. A counter must not go back when a
 * worker ends and its file is removed: the file stays open here, so its last numbers can still
 * be read then, and are kept with its service. One descriptor for each process.
 */
#ifndef GCPRELOAD_CLI_EXPORT_GATHER_H
#define GCPRELOAD_CLI_EXPORT_GATHER_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/rings.h"

typedef struct gcpreload_series gather_series[GCPRELOAD_PERIODS][GCPRELOAD_GENERATIONS]
					     [GCPRELOAD_CAUSES];

struct gather_process {
	char *name; /* of the ring, unique in the world */
	struct gcpreload_reader reader;
	bool alive;
	bool seen; /* in this look */
};

/* Processes with the same label. */
struct gather_service {
	char *name;	    /* GCPRELOAD_SERVICE or OTEL_SERVICE_NAME, "" where there is none */
	gather_series gone; /* of processes whose file is no longer there */
	uint64_t gone_lost, gone_guard_trips;
};

struct gather {
	struct rings_choice *choices;
	size_t n_choices;
	struct gather_process *processes;
	size_t n_processes, room;
	struct gather_service **services;
	size_t n_services;
};

/* Looks at the directories: new processes are opened, those that ended stay until their file is
 * removed. */
void gather_look(struct gather *gather);

/* Adds a process's series to a sum. */
void gather_add(gather_series sum, struct gather_process *process);

/* Whether a process belongs to a service. */
bool gather_belongs(const struct gather_service *service, const struct gather_process *process);

/* Events that nobody could read before they were written over. */
uint64_t gather_lost(const struct gather_process *process);

void gather_free(struct gather *gather);

#endif

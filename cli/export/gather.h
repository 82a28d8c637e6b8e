/* SPDX-License-Identifier: MIT */
/*
 * All processes of some directories, summed up by service. A counter must not go back when a
 * worker ends and its file is removed: a sweeper adds its numbers to its service's totals first
 * (ring/retired.h), and these are read here with the rings, consistently: no number is missed, and
 * none is counted twice. What was removed otherwise (rm) is kept here as it was last seen, until
 * the exporter ends.
 */
#ifndef GCPRELOAD_CLI_EXPORT_GATHER_H
#define GCPRELOAD_CLI_EXPORT_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/counters.h"
#include "cli/export/counts.h"
#include "cli/export/exemplars.h"
#include "cli/rings.h"

struct gather_dir;

struct gather_process {
	char *name; /* of the ring, unique in its directory */
	struct gather_dir *dir;
	struct gather_service *service;
	/* Its descriptor is -1 where there are too many; the header is kept. */
	struct gcpreload_reader reader;
	bool alive;
	bool counted;  /* counts has been read */
	bool final;    /* and it was dead then */
	bool replaced; /* its process has a newer one, which counts all that this one did */
	struct counts counts;
	struct exemplars exemplars;
	uint64_t inode;
	uint64_t round; /* of the directory, when it was there last */
	size_t next;	/* in the table, + 1 */
};

/* Processes with the same label. */
struct gather_service {
	char *name;	    /* GCPRELOAD_SERVICE or OTEL_SERVICE_NAME, "" where there is none */
	gather_series gone; /* of processes whose file is no longer there */
	struct counters gone_counters;
	struct gather_past {
		struct counts counts;
		struct counters counters;
	} removed; /* of these, those that only we remember */
	bool has_gone;
	/* The process that came first of those whose files were folded; 0: not known. */
	uint64_t first_published_ns, first_attached_ns;
};

/* What the last look has read, and what it could not. */
struct gather_seen {
	size_t directories;
	size_t rings;
	size_t unreadable; /* files that should be rings */
	char *why;	   /* of the first of these; NULL: of none */
	struct rings_trouble trouble;
	uint64_t read_ns; /* CLOCK_REALTIME, when anything was read last; 0: never */
};

struct gather {
	struct rings_choice *choices;
	size_t n_choices;
	struct gather_process *processes;
	size_t n_processes, room;
	struct gather_service **services;
	size_t n_services;
	struct gather_dir **dirs;
	size_t n_dirs;
	bool full;     /* said that there are too many of them */
	size_t *table; /* of processes by name: index + 1 */
	size_t table_size;
	size_t n_open, most_open; /* descriptors */
	uint64_t look;
	struct gather_seen seen;
};

/* Beyond so many services, the names of further ones are not kept apart. */
#define GATHER_MOST_SERVICES 256

/* Looks at the directories: new processes are opened, those that ended stay until their file is
 * removed. */
void gather_look(struct gather *gather);

/* Adds a process's series to a sum. */
void gather_add(gather_series sum, struct gather_process *process);

/* Whether a process belongs to a service. */
bool gather_belongs(const struct gather_service *service, const struct gather_process *process);

/* Whether there was something to read, and nothing of it could be. *why is a text for people that
 * stays until the next look, also where only a part could not be read; NULL: all is well. */
bool gather_is_blind(const struct gather *gather, const char **why);

void gather_free(struct gather *gather);

#endif

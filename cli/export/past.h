/* SPDX-License-Identifier: MIT */
/* A directory's totals of removed rings, as gather.c knows them. */
#ifndef GCPRELOAD_CLI_EXPORT_PAST_H
#define GCPRELOAD_CLI_EXPORT_PAST_H

#include "cli/export/gather.h"
#include "ring/retired.h"

/* A file of ring/retired.h. */
struct past_file {
	struct gather_service *service; /* NULL: there is none */
	uint64_t inode;
	uint64_t folded;
	char last[sizeof(((struct gcpreload_retired *)0)->last)];
	uint64_t first_published_ns, first_attached_ns;
	struct gather_past past;
};

struct gather_dir {
	uint64_t device, inode, born_ns;
	uint64_t look;	/* gather's, when it was there last */
	uint64_t round; /* of going through its names */
	bool over;	/* it was not there for long: its counts are remembered without it */
	struct past_file files[GCPRELOAD_RETIRED_FILES];
};

/* Reads the files that changed. */
void past_read(struct gather *gather, struct gather_dir *dir, int fd);

/* Whether they are still those of the last past_read. */
bool past_is_same(const struct gather_dir *dir, int fd);

/* Whether a ring is in a file already, although its own is still there. */
bool past_has(const struct gather_dir *dir, const char *ring);

/* Adds to what only we remember of a service. */
void past_remember(struct gather_service *service, const struct gather_past *past);

/* What a directory's files have counted is remembered without it. */
void past_leave(struct gather_dir *dir);

/* Sums up each service's gone. */
void past_sum_up(struct gather *gather);

void past_free(struct gather_dir *dir);

#endif

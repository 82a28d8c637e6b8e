/* SPDX-License-Identifier: MIT */
/*
 * Following rings: every collection as it happens, of processes that are there and of those that
 * begin to serve later. Looks ten times a second; between two looks the rings keep the events,
 * and say how many they could not keep.
 */
#ifndef GCPRELOAD_CLI_FOLLOW_H
#define GCPRELOAD_CLI_FOLLOW_H

#include <stddef.h>
#include <stdint.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/rings.h"

struct follow {
	/* What to follow, filled in by follow_option() and follow_pids(). */
	struct rings_choice choice;
	int32_t *pids; /* 0: all */
	size_t n_pids;
	double seconds; /* how long; 0: until Ctrl-C */
	/* What was there before: none of it, or at most so many events of each process, and none
	 * that ended longer ago; 0: as many and as long as the ring has. */
	bool past;
	uint64_t past_events;
	uint64_t past_ns;

	/* Called for each; arg is the caller's. began may be NULL; so may hit, where the event hit
	 * no span that is known. */
	void (*began)(void *arg, const struct gcpreload_header *header);
	void (*event)(void *arg, const struct gcpreload_header *header,
		      const struct gcpreload_slot *slot, const struct gcpreload_hit *hit);
	void (*lost)(void *arg, const struct gcpreload_header *header, uint64_t n);
	/* A mark that is over. */
	void (*mark)(void *arg, const struct gcpreload_header *header,
		     const struct gcpreload_mark *mark);
	void *arg;

	int error;		/* set it to end: an errno, which stays */
	int64_t to_realtime_ns; /* what to add to an event's time */
	uint64_t begin_ns;	/* CLOCK_MONOTONIC */

	/* private */
	struct followed *first;
	uint64_t from_ns; /* what ended before is history */
	int begun;
};

#define FOLLOW_OPTIONS                                                                             \
	RINGS_OPTIONS,                                                                             \
	{                                                                                          \
		"for", required_argument, NULL, 'F'                                                \
	}
#define FOLLOW_HELP "  --for SECONDS      stop after this many seconds\n"

/* One option of the above. Returns an exit status where it is wrong, said on stderr, else -1. */
int follow_option(struct follow *follow, const struct command *command, int c, char *arg);

/* The words that are left: process ids. Returns as above. */
int follow_pids(struct follow *follow, const struct command *command, int n, char **words);

/* CLOCK_REALTIME of an event, ns. A damaged ring may say anything. */
int64_t follow_realtime(const struct follow *follow, uint64_t ns);

/* CLOCK_MONOTONIC, ns: the clock of events. */
uint64_t follow_now(void);

/* What makes CLOCK_REALTIME of it. */
int64_t follow_to_realtime(void);

/* Its ids, into an open object; nothing where hit is NULL. */
void follow_json_hit(struct json *json, const struct gcpreload_hit *hit);

/* Until SIGINT or SIGTERM, an error, or the time is over; then forgets all that was followed. */
void follow_run(struct follow *follow);

#endif

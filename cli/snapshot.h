/* SPDX-License-Identifier: MIT */
/* What one ring said at one moment, summed up for ps and report. */
#ifndef GCPRELOAD_CLI_SNAPSHOT_H
#define GCPRELOAD_CLI_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/json.h"
#include "cli/rings.h"

/* A period without its first minutes, of the processes that were in it for longer. */
struct snapshot_steady {
	uint64_t length_ns, cpu_ns, accepted;
	uint64_t collections, in_request_ns; /* of those in requests */
};

/* A period of a process's life, as report shows it. */
struct snapshot_period {
	uint64_t length_ns; /* 0: there was none, or nobody knows */
	uint64_t gc_ns;	    /* spent in collections, all of them */
	struct gcpreload_series generations[GCPRELOAD_GENERATIONS];
	struct gcpreload_series once; /* what readiness, forks and the end took, once each */
	/* The others: those that a request could meet, and those while the server waited. */
	struct gcpreload_series in_requests;
	struct gcpreload_series idle;
	/* What else was done (cli/load.h). */
	uint64_t cpu_ns, accepted;
	bool load_unknown; /* of one process at least: of an earlier version of the library */
	bool accepts;	   /* connections are seen here, in this period or in another */
	struct snapshot_steady steady;
};

struct snapshot {
	char *dir;
	char *name;
	char *why; /* it cannot be read, and nothing below is known; else NULL */
	bool alive;
	bool starting;	 /* a process without a ring (ps --all); reason says more */
	bool ring_comes; /* and it may have one when it is ready */
	struct gcpreload_header header;
	uint64_t last_ns; /* end of the last event of one that has ended, 0: unknown */

	/* Summed over the periods, the histograms left out. */
	struct gcpreload_totals gc[GCPRELOAD_GENERATIONS][GCPRELOAD_CAUSES];
	uint64_t gc_sum_ns[GCPRELOAD_GENERATIONS][GCPRELOAD_CAUSES];
	uint64_t gc_max_ns[GCPRELOAD_GENERATIONS][GCPRELOAD_CAUSES];

	struct snapshot_period periods[GCPRELOAD_PERIODS];
};

struct snapshots {
	struct snapshot **list;
	size_t n;
	size_t room;
};

/* Whether a cause is of those that come once in a process's life, outside the requests. */
bool snapshot_cause_is_once(unsigned cause);

/* Adds a series to its sums and to the period that it is of. */
void snapshot_add(struct snapshot *s, unsigned period, unsigned generation, unsigned cause,
		  const struct gcpreload_series *series);

/* The same to a period alone. */
void snapshot_period_add(struct snapshot_period *to, unsigned period, unsigned generation,
			 unsigned cause, const struct gcpreload_series *series);

/* Adds what another process has counted in the same period. */
void snapshot_period_merge(struct snapshot_period *into, const struct snapshot_period *from);

/* All rings of the choice, by pid. Returns as rings_dirs. */
int snapshots_take(struct snapshots *all, const struct rings_choice *choice, char **where);

/* Fills an empty one from an open ring, of which the header is up to date. */
void snapshot_read(struct snapshot *s, struct gcpreload_reader reader, bool alive);

/* A new, empty one at the end of the list. */
struct snapshot *snapshots_add(struct snapshots *all);

/* What one ring says now; snapshot_clear() forgets it. */
void snapshot_take(struct snapshot *s, struct ring *ring);
void snapshot_clear(struct snapshot *s);

void snapshot_free(struct snapshot *s);

void snapshots_sort(struct snapshots *all);
void snapshots_free(struct snapshots *all);

/* "ready", "exited", "unreadable" ... */
const char *snapshot_state(const struct snapshot *s);

/* Whether an action should have happened by now, and nothing reached the process. */
bool snapshot_is_due(const struct snapshot *s);

/* The present period, or the one in which the process ended. */
/* How long ago it was attached to while it ran, ns; 0: it was not, or has ended. */
uint64_t snapshot_attached_since(const struct snapshot *s);

unsigned snapshot_period_now(const struct snapshot *s);

/* A period's share of time in collections; -1 where it cannot be computed. */
double snapshot_share(const struct snapshot_period *period);

/* The longest collection before the process was ready, seconds. */
double snapshot_startup_longest(const struct snapshot *s);

/* Time in collections in requests and while waiting, into an open object. */
void snapshot_json_requests(const struct snapshot_period *period, struct json *json);

/* The members that ps and report have in common, into an open object. */
void snapshot_json(const struct snapshot *s, struct json *json);

#endif

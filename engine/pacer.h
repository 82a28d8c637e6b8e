/* SPDX-License-Identifier: MIT */
/*
 * Mode idle's decisions, and nothing else: what is due, when to look, what to leave. No clock, no
 * Python and no system call in here: everything comes in by arguments, so that the tests run it
 * with a clock and counts of their own. Times are nanoseconds, counts are objects.
 */
#ifndef GCPRELOAD_ENGINE_PACER_H
#define GCPRELOAD_ENGINE_PACER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/machine.h"
#include "ring/layout.h"

/* What the settings say. */
struct pacer_limits {
	uint64_t young_ns;		    /* GCPRELOAD_YOUNG_MS */
	uint64_t budget_ns;		    /* GCPRELOAD_BUDGET_MS */
	int32_t own[GCPRELOAD_GENERATIONS]; /* the interpreter's own thresholds */
	int32_t top; /* threshold0 where collections run in requests: never higher */
	int32_t net; /* threshold0 where they run at chances */
	bool asked;  /* top is what the settings ask for, and stands until something was measured */
	bool idle;   /* mode idle; else only threshold0 is adapted */
};

/* Changed under the GIL. What is shared is looked at without it, too (pacer_expects,
 * pacer_out_of_reach): by the functions of base/shared.h, relaxed. */
struct pacer {
	struct pacer_limits limits;
	int32_t threshold0; /* what it should be now */
	int32_t threshold2; /* the same */
	bool leased;	    /* it is ahead of what the interpreter's own would be */
	int64_t count2; /* collections of generation 1 since the last full one, as far as we know */
	int32_t young_due;  /* count0 from which a young collection is worth a chance */
	double young_cost;  /* ns an object at a chance, 0: not known yet */
	double late_cost;   /* the same of automatic ones, of which more has waited for longer */
	int32_t late_batch; /* objects in the last of these */
	double old_cost;
	uint64_t old;	       /* objects that survived into the oldest generation since ready */
	uint64_t old_at_full;  /* the same after the last full collection */
	uint64_t frozen;       /* objects that were frozen at readiness */
	uint64_t full_ns;      /* when the last full one ended */
	uint64_t full_wait_ns; /* not before this has passed since */
	uint64_t recount_ns;   /* when old was last counted */
	uint64_t chance_ns;    /* the last moment at which nothing waited to be done; shared */
	uint64_t expected_ns;  /* from when on something should be due; shared */
	int64_t seen;	       /* count0 when it was last known */
	uint64_t seen_ns;
	double rate;	       /* objects a nanosecond by which it grows; 0: not known yet */
	uint64_t machine_ns;   /* when the machine was last looked at */
	uint64_t resident;     /* what the memory is compared with */
	uint64_t throttled_ns; /* as last seen */
	uint64_t paused_until_ns;
	uint64_t pause_ns;  /* of the quota's back-off */
	bool had_chance;    /* there is a wait that is known to be the server's */
	uint32_t unreached; /* automatic collections since the last chance */
	bool fallen_back;   /* this process never waits: as mode freeze, adapted; shared */
	enum gcpreload_guard guard;
	bool guard_full;	/* the guard wants a full collection, wherever it is */
	uint64_t guard_ns;	/* since when */
	uint64_t guard_took_ns; /* the last time */
	bool unguarded;		/* and nobody could make it: as the interpreter would have it */
};

/* Where full collections are ours, threshold2 is so many collections of generation 1 ahead, and
 * moved on by each chance and each collection that we see. Where we see none any more, for whatever
 * reason, the interpreter's own come back by themselves. */
#define PACER_LEASE 20

enum pacer_due {
	PACER_NOTHING,
	PACER_DUE,    /* *generation says which */
	PACER_BUDGET, /* due, but it would take too long */
	PACER_PAUSED, /* due, but the CPU quota was used up lately */
};

/* At readiness: frozen objects, and how long the collection before the freeze took. */
void pacer_begin(struct pacer *pacer, const struct pacer_limits *limits, uint64_t now,
		 uint64_t frozen, uint64_t ready_ns);

/* At a chance: what should be collected, given gc.get_count(). */
enum pacer_due pacer_due(struct pacer *pacer, uint64_t now,
			 const int64_t counts[GCPRELOAD_GENERATIONS], int *generation);

/* A collection that we made has ended. count0: objects in the young generation before it. */
void pacer_collected(struct pacer *pacer, uint64_t now, int generation, int64_t count0,
		     uint64_t collected, uint64_t duration);

/* A collection of the interpreter's has ended. True: the thresholds should be something else now.
 */
bool pacer_automatic(struct pacer *pacer, uint64_t now, int generation, uint64_t collected,
		     uint64_t duration);

/* Whether something should be due by now. Any thread, without the GIL: gc.get_count() is guessed.
 * Where nothing is, that chances stay away means nothing. */
bool pacer_expects(struct pacer *pacer, uint64_t now);

/* A full collection was refused for its predicted cost: whether to count gc.get_objects(2), since
 * what has survived may be gone by now without a collection. */
bool pacer_recount_due(const struct pacer *pacer, uint64_t now);
void pacer_recounted(struct pacer *pacer, uint64_t now, uint64_t old);

/* Everything was looked at, and is frozen now. */
void pacer_all_frozen(struct pacer *pacer, uint64_t now);

/* Whether chances have stayed away for so long that collections must run in requests again. Any
 * thread, without the GIL. */
bool pacer_out_of_reach(const struct pacer *pacer, uint64_t now);

/* Then, with the GIL. True: as above. */
bool pacer_unreached(struct pacer *pacer, uint64_t now);

/* Whether the machine is to be looked at: reading its files costs, once a second is enough. */
bool pacer_machine_due(const struct pacer *pacer, uint64_t now);

/* The memory has grown, or descriptors become few, and a full collection would tell whether garbage
 * holds them (growth.h). */
void pacer_grown(struct pacer *pacer, uint64_t now);

/* What was found. True: the thresholds should be something else now, or the guard wants a full
 * collection (pacer->guard_full). */
bool pacer_machine(struct pacer *pacer, uint64_t now, const struct machine *machine);

/* GCPRELOAD_STARTUP_GC=0, which keeps the garbage of the start. */
struct pacer_startup {
	uint64_t began_ns;
	uint64_t resident;
};

void pacer_startup_begin(struct pacer_startup *startup, uint64_t now,
			 const struct machine *machine);

/* Why collections must find something again, or NULL. */
const char *pacer_startup_over(const struct pacer_startup *startup, uint64_t now,
			       const struct machine *machine);

/* The guard's full collection was made, or a young one was enough. */
void pacer_guarded(struct pacer *pacer, uint64_t now, uint64_t resident, uint64_t collected,
		   uint64_t duration);

#endif

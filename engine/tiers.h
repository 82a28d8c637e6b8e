/* SPDX-License-Identifier: MIT */
/*
 * What modes concurrent and idle decide, and nothing else: no clock, no Python, no system call, so
 * that the tests run it with a clock, costs and a memory of their own. Times are ns, counts are
 * objects.
 *
 *	young	the interpreter's generation 0: looked at by its own automatic collections, so few
 *		that one takes no longer than a pause
 *	middle	what has survived once, its generation 1: looked at again at waits
 *	old	with marks, the permanent generation: a mark looks for garbage in it when memory has
 *		grown, or when so much was promoted that earlier marks promise garbage.
 *		Without, generation 2: a full collection at a wait looks at it when memory has grown
 *
 * What does not fit a pause, or has no wait, is promoted unlooked-at with marks. Without them the
 * interpreter's own thresholds are in force then, until waits come that it fits.
 */
#ifndef GCPRELOAD_ENGINE_TIERS_H
#define GCPRELOAD_ENGINE_TIERS_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/layout.h"

struct tiers_limits {
	uint64_t pause_ns;  /* GCPRELOAD_PAUSE_MS */
	uint64_t budget_ns; /* GCPRELOAD_BUDGET_MS: without marks, at a wait */
	double growth;	    /* GCPRELOAD_GROWTH; 0: marks without pause */
	bool marks;
	int32_t own[GCPRELOAD_GENERATIONS];   /* the interpreter's thresholds */
	int32_t given[GCPRELOAD_GENERATIONS]; /* those of the settings, which stay; 0: none */
};

struct tiers {
	struct tiers_limits limits;
	int32_t threshold0, threshold1, threshold2; /* what they should be now */
	int64_t count2; /* collections of generation 1 since the last full one, by gc.get_count() */
	double look_ns; /* to look at an object in an automatic collection: near the worst */
	double sweep_ns; /* to give one back and free it: near the worst */
	double
	    ratio; /* objects that are young, for each that gc.get_count() tells: near the worst */
	double middle;	    /* objects, about */
	int64_t wait_due;   /* so many new objects are worth a collection at a wait */
	uint64_t chance_ns; /* the last wait with nothing to do; 0: none */
	uint64_t promoted;  /* objects that became old since the last mark began */
	uint64_t marking;   /* those that the mark looks at which is out */
	double yield;	    /* share of garbage in what was promoted, by marks lately */
	uint64_t live;	    /* objects, by the last mark; without marks: old and not frozen ones */
	uint64_t resident;  /* bytes, when the garbage of the last mark was gone */
	uint64_t seen;	    /* bytes, at the last look */
	uint64_t at_mark;   /* bytes, when the mark that is out began */
	bool out;	    /* a mark runs, or its garbage is being swept */
	uint64_t left;	    /* garbage to be swept */
	uint64_t mark_ns;   /* when the last one ended */
	uint64_t pause_ns;  /* not before so much later */
	unsigned failures;  /* marks that failed, one after the other */
	double full_ns;	    /* without marks: to look at an old object */
	double ready_ns;    /* as the collection at readiness did */
	double copy_ns;	    /* to copy a byte of the process, as the last time */
	bool full_due;	    /* memory has grown */
	bool full_worth;    /* and a little, for which it must be cheap */
	/* The interpreter's own way: near the memory limit; no waits come; what is due takes too
	 * long there; or the guard's collection has no place. */
	bool near, unreached, too_long, unguarded;
};

/* At readiness. frozen: objects; ready_ns: what looking at all of them took. */
void tiers_begin(struct tiers *tiers, const struct tiers_limits *limits, uint64_t frozen,
		 uint64_t ready_ns);

/* An automatic collection of a generation begins: up to how many young objects are worth counting.
 * Where there are as many, it would take too long: everything is to be frozen without a look, which
 * tiers_overflows() is told. */
uint64_t tiers_most(const struct tiers *tiers, int generation);
void tiers_overflows(struct tiers *tiers, uint64_t young);

/* Else how much garbage of the mark it may be given besides. */
uint64_t tiers_slice(const struct tiers *tiers);

/* A mark is out, and memory grows faster than it gets on: the program is to wait for a pause after
 * each collection. */
bool tiers_holds_back(const struct tiers *tiers);

/* Whether long steps can wait for a server's wait, components that are larger than a slice and the
 * copy for a mark: waits come, and memory does not run ahead. */
bool tiers_waits_come(const struct tiers *tiers, uint64_t now);

/* A collection has ended that looked at young objects and swept ones besides, in cpu_ns of its
 * thread. True: what is left of generations 0 to 2 is to be frozen. */
bool tiers_collected(struct tiers *tiers, uint64_t now, int generation, uint64_t young,
		     uint64_t swept, uint64_t collected, uint64_t cpu_ns);

enum tiers_wait {
	TIERS_NOTHING,
	TIERS_MIDDLE, /* collect generation 1 */
	TIERS_SWEEP,  /* give tiers_wait_slice() back and collect generation 0 */
	TIERS_FULL,
	TIERS_REFUSED, /* something is due and takes too long */
};

/* One at a wait has ended that looked at so many: whether fewer are worth the next one. */
void tiers_waited(struct tiers *tiers, uint64_t looked, uint64_t collected);

/* A wait with nothing to do. count0: new objects. */
enum tiers_wait tiers_at_wait(struct tiers *tiers, uint64_t now, int64_t count0);
uint64_t tiers_wait_slice(const struct tiers *tiers);

/* As tiers_most(), there. */
uint64_t tiers_wait_most(const struct tiers *tiers);

/* How much memory there is now; files: descriptors become few. Whether a mark should begin; *why
 * says for what. */
bool tiers_memory(struct tiers *tiers, uint64_t now, uint64_t resident, bool files, uint32_t *why);

/* Whether memory grows faster than marks and sweeps can follow. */
bool tiers_runs_ahead(const struct tiers *tiers);

/* A mark is due, and another process of the family has one: in a moment. */
void tiers_mark_waits(struct tiers *tiers, uint64_t now);

/* Without marks. A full collection of what is not frozen has ended. How many old objects there are
 * was counted: after one was refused, since those that survived may be gone by now without a
 * collection, or after one that looked at what is frozen, too. */
void tiers_full(struct tiers *tiers, uint64_t now, uint64_t resident, uint64_t young,
		uint64_t collected, uint64_t cpu_ns);
void tiers_recounted(struct tiers *tiers, uint64_t old);

/* gc.get_count()[2] is known: it is not all of our collections that we see. */
void tiers_note_count2(struct tiers *tiers, int64_t count2);

/* Whether so much has survived without a look at it that the next one would take long. */
bool tiers_piles_up(const struct tiers *tiers);

/* Whether the interpreter's own thresholds are in force; and two reasons for it. */
bool tiers_are_own(const struct tiers *tiers);
void tiers_out_of_reach(struct tiers *tiers, bool unreached, bool unguarded);

/* Whether the memory limit is near: everything is as the interpreter would have it. */
void tiers_near_limit(struct tiers *tiers, bool near);

/* A mark is due, and the copy for it would take longer than to collect everything in place: little
 * of the memory is objects. What a copy took, in processor time. */
bool tiers_copy_is_dear(const struct tiers *tiers);
void tiers_copied(struct tiers *tiers, uint64_t ns);

/* A mark began: everything is frozen. It ended; its garbage was swept; or it came to nothing. */
void tiers_mark_begins(struct tiers *tiers);
void tiers_mark_ends(struct tiers *tiers, uint64_t now, uint64_t live, uint64_t garbage,
		     uint64_t cpu_ns);
void tiers_swept(struct tiers *tiers, uint64_t now, uint64_t resident);
void tiers_mark_fails(struct tiers *tiers, uint64_t now);

/* The same, because of another tool in the allocator, which may be gone soon: marks work, so the
 * wait for the next one does not become longer. */
void tiers_mark_disturbed(struct tiers *tiers, uint64_t now);

/* All there is was collected by somebody else, and what is left is frozen. */
void tiers_all_collected(struct tiers *tiers, uint64_t now, uint64_t resident);

#endif

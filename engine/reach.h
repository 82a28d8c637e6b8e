/* SPDX-License-Identifier: MIT */
/*
 * Mode idle: whether waits with nothing to do still come, and when the next one is worth the GIL.
 * Pure: no clock, no Python, no system call. Times are ns, counts are objects.
 */
#ifndef GCPRELOAD_ENGINE_REACH_H
#define GCPRELOAD_ENGINE_REACH_H

#include <stdbool.h>
#include <stdint.h>

/* Changed under the GIL. What is shared is looked at without it, too: by base/shared.h, relaxed. */
struct reach {
	uint64_t chance_ns;   /* the last moment at which nothing waited to be done; shared */
	uint64_t expected_ns; /* from when on something should be due; shared */
	int64_t seen;	      /* gc.get_count()[0] when it was last known */
	uint64_t seen_ns;
	uint64_t early_ns;  /* from when on something may be due; shared */
	int64_t burst;	    /* by which it grew between two looks, near the most lately */
	double rate;	    /* objects a nanosecond by which it grows; 0: not known yet */
	bool had_chance;    /* there is a wait that is known to be the server's */
	unsigned automatic; /* collections of the interpreter's since the last chance */
	bool lost;	    /* chances stay away; shared */
	bool busy;  /* since the last one some were refused: other threads at work; shared */
	bool piled; /* lost because too much has survived, however short the time */
};

void reach_begin(struct reach *reach, uint64_t now);

/* Whether something should be due by now. Any thread, without the GIL: gc.get_count() is guessed.
 * Where nothing is, that chances stay away means nothing. */
bool reach_expects(struct reach *reach, uint64_t now);

/* Whether something may be due by now: what came between two looks lately may have come again. */
bool reach_may(const struct reach *reach, uint64_t now);

/* gc.get_count()[0] is known at this moment. */
void reach_seen(struct reach *reach, uint64_t now, int64_t count0);

/* From so many objects on something is due, but not before a time. */
void reach_expect(struct reach *reach, int64_t due, uint64_t not_before);

/* A chance came, or a collection of the interpreter's has ended; piles_up: and it is high time. */
void reach_chance(struct reach *reach, uint64_t now);
void reach_automatic(struct reach *reach, uint64_t now, bool piles_up);

/* Whether chances stay away although something is due. Any thread, without the GIL. */
bool reach_is_overdue(const struct reach *reach, uint64_t now);

/* A wait with nothing to do, while other threads were at work: no chance. Any thread. */
void reach_refused(struct reach *reach);

/* Why they stay away, in words. */
const char *reach_word(const struct reach *reach);

/* Then, with the GIL. */
void reach_lose(struct reach *reach, uint64_t now);

#endif

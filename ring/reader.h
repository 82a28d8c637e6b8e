/* SPDX-License-Identifier: MIT */
/*
 * The reading side of a ring, in another process. A file is another program's memory: it may be
 * cut short, written over, or hostile. Everything is copied by pread(2) (a mapping would raise
 * SIGBUS after a truncate), every size is checked, every text is terminated.
 */
#ifndef GCPRELOAD_RING_READER_H
#define GCPRELOAD_RING_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/layout.h"

struct gcpreload_reader {
	int fd;
	struct gcpreload_header header; /* as of the last refresh */
	uint64_t next;			/* number of the next event to read */
	uint64_t lost;			/* events that were overwritten before they were read */
};

/* Opens and checks a ring. The file is name below the directory dir (AT_FDCWD works), never
 * through a symbolic link. Returns 0, or -errno with *why set to a static text a person can
 * read: "not a ring", "cut short", "of a later version" ... close with gcpreload_reader_close. */
int gcpreload_reader_open(struct gcpreload_reader *reader, int dir, const char *name,
			  const char **why);

void gcpreload_reader_close(struct gcpreload_reader *reader);

/* Reads the header anew. Returns 0 or -errno with *why. */
int gcpreload_reader_refresh(struct gcpreload_reader *reader, const char **why);

/* Reads one series. A period, generation or cause that the file does not have is all zero.
 * Returns 0 or -errno. */
int gcpreload_reader_series(struct gcpreload_reader *reader, unsigned period, unsigned generation,
			    unsigned cause, struct gcpreload_series *series);

/* How many collections a series has counted: all of it is as it was where that is. Returns 0 or
 * -errno. */
int gcpreload_reader_collections(struct gcpreload_reader *reader, unsigned period,
				 unsigned generation, unsigned cause, uint64_t *collections);

/* Reads the next event. Returns 1 with *slot filled, 0 when there is none yet (call
 * gcpreload_reader_refresh to learn of new ones), or -errno. Overwritten events are skipped and
 * added to reader->lost. */
int gcpreload_reader_next(struct gcpreload_reader *reader, struct gcpreload_slot *slot);

/* Reads the last marks, in the order of their numbers, the oldest first; none of a file that has no
 * place for them. Returns how many, or -errno. */
int gcpreload_reader_marks(struct gcpreload_reader *reader,
			   struct gcpreload_mark marks[GCPRELOAD_MARKS_KEPT]);

/* Reads the last slow collections that hit a span, the oldest first; none of a file that has no
 * place for them. Returns how many, or -errno. */
int gcpreload_reader_hits(const struct gcpreload_reader *reader,
			  struct gcpreload_hit hits[GCPRELOAD_HITS_KEPT]);

/* The one of an event that gcpreload_reader_next has just read. Returns whether there is one. */
bool gcpreload_reader_hit(const struct gcpreload_reader *reader, const struct gcpreload_slot *slot,
			  struct gcpreload_hit *hit);

/* Whether a mark will not change any more. */
bool gcpreload_mark_is_over(const struct gcpreload_mark *mark);

/* Whether the writer still lives: its lock is asked for, never kept (flock(2)). */
bool gcpreload_reader_alive(const struct gcpreload_reader *reader);

/* Whether these are rings of one process: one was removed, and the process made another. */
bool gcpreload_reader_same_process(const struct gcpreload_header *one,
				   const struct gcpreload_header *other);

/* A request may meet all but what readiness, forks and the end take, and idle collections. */
bool gcpreload_cause_in_requests(unsigned cause);

/* Whether it forks the workers, whatever its mode: it serves nothing itself. */
bool gcpreload_is_parent(const struct gcpreload_header *h);

/* Names as shown to people: "automatic", "ready", "standing-back" ...; "unknown" beyond. */
const char *gcpreload_cause_name(unsigned cause);
const char *gcpreload_state_name(unsigned state);
const char *gcpreload_mode_name(unsigned mode);
const char *gcpreload_period_name(unsigned period);
const char *gcpreload_guard_name(unsigned guard);
const char *gcpreload_sample_name(unsigned sample);
const char *gcpreload_mark_why_name(unsigned why);
const char *gcpreload_mark_how_name(unsigned how);
const char *gcpreload_service_from_name(unsigned from);

/* A span's ids as W3C's Trace Context writes them. */
#define GCPRELOAD_TRACE_ID_TEXT 33
#define GCPRELOAD_SPAN_ID_TEXT	17

void gcpreload_span_text(const struct gcpreload_span *span, char trace_id[GCPRELOAD_TRACE_ID_TEXT],
			 char span_id[GCPRELOAD_SPAN_ID_TEXT]);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * The writing side of the ring, inside the host process.
 *
 * Until a process has something to tell, its counters and last events live in .bss, in the
 * shape of the file; gcpreload_ring_publish() makes the file and moves them. A forked child
 * starts with counters of its own and no file.
 *
 * None of these functions allocates, locks, prints or calls Python.
 */
#ifndef GCPRELOAD_RING_WRITER_H
#define GCPRELOAD_RING_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "ring/control.h"
#include "ring/layout.h"

struct gcpreload_event {
	uint64_t start_ns;
	uint64_t duration_ns;
	uint64_t collected;
	uint64_t uncollectable;
	uint8_t generation;		 /* below GCPRELOAD_GENERATIONS */
	uint8_t cause;			 /* enum gcpreload_cause */
	const struct gcpreload_hit *hit; /* span and sampled of it; NULL: no span was found */
};

/* What inject/ knows of the process; copied into the header at each change. */
struct gcpreload_status {
	uint32_t state;
	uint32_t mode;
	uint32_t period;
	uint32_t flags;
	int32_t thresholds[GCPRELOAD_GENERATIONS];
	int32_t thresholds_before[GCPRELOAD_GENERATIONS];
	int64_t frozen_objects;
	uint64_t log_dropped;
	uint64_t control_serial;
	uint64_t due_ns;
	struct gcpreload_idle idle;
	struct gcpreload_marks marks;
	uint32_t sample; /* enum gcpreload_sample */
	char python[32];
	char reason[128];
	char trigger[64];
	char fired[64];
	struct gcpreload_service service;
	char service_name[64];
	char service_version[64];
	char service_environment[64];
};

struct gcpreload_place {
	const char *dir; /* on tmpfs; the file goes to dir/gcpreload-<euid>/ */
	int64_t group;	 /* gid that may read the file too, or -1 */
};

/* Records one finished collection. Any thread; wait-free. Several interpreters with a GIL of
 * their own may write at once after gcpreload_ring_concurrent(). */
void gcpreload_ring_record(const struct gcpreload_event *event);

/* Writes mark number, from 0 on, in its place; the same number again: what is known of it now. seq
 * is not looked at. One thread at a time (the GIL). */
void gcpreload_ring_mark(const struct gcpreload_mark *mark, uint64_t number);

/* What this process and its ancestors have counted: what gc.get_stats() should say. */
void gcpreload_ring_totals(struct gcpreload_totals totals[GCPRELOAD_GENERATIONS]);

/* Collections that ran unseen, before the observer was there, are counted as inherited. */
void gcpreload_ring_inherit(const struct gcpreload_totals unseen[GCPRELOAD_GENERATIONS]);

/* From now on events may come from two threads at once: counters are added atomically. */
void gcpreload_ring_concurrent(void);

/* Takes over a new status. One thread at a time (the GIL). */
void gcpreload_ring_status(const struct gcpreload_status *status);

/* Counts processor time and connections for the present period: once a second at most, or at once.
 * One thread at a time (the GIL). */
void gcpreload_ring_load(uint64_t now_ns, bool at_once);

/* Makes the file and moves the counters into it; does nothing where it exists. Returns 0 or
 * -errno, with *why set to a static text that says what failed. One thread at a time. */
int gcpreload_ring_publish(const struct gcpreload_place *place, const char **why);

/* Whether the file was removed, by whomever; false where nobody can say. A system call, in the
 * rule.
 */
bool gcpreload_ring_removed(void);

/* Processor time counts from here on only: what this process used before was not seen. */
void gcpreload_ring_since_now(void);

/* This process is not measured any more: its file says so for good, and is given up; what comes
 * next is counted for a new one. GIL; nobody else writes. */
void gcpreload_ring_end(void);

/* Makes a new file, which goes on with all that the removed one counts; readers take the two for
 * one, by pid, start_time and attached_ns. Returns 0 or -errno with *why, and then all is as
 * before. GIL. */
int gcpreload_ring_remake(const struct gcpreload_place *place, const char **why);

/* Whether this process has a file. */
bool gcpreload_ring_published(void);

/* Reads the file NAME.ctl beside this process's ring into text, NUL-terminated. Returns its
 * length, 0 where there is none (or no ring), or -errno with *why: not ours, or too long. A few
 * system calls. */
int gcpreload_ring_control(struct gcpreload_control *control, const char **why);

/* When the collector of this process began to be seen (a child: when it was first noticed). */
uint64_t gcpreload_ring_attached_ns(void);

#endif

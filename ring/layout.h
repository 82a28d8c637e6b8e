/* SPDX-License-Identifier: MIT */
/*
 * The file between a process and its readers: layout 1.3.
 *
 *   0            4096                 +n_series * series_size        total_size
 *   +------------+--------------------+------------------------------+
 *   | header     | series             | slots                        |
 *   | one page   | [period][gen][cause] | 64 bytes each, overwritten |
 *   +------------+--------------------+------------------------------+
 *
 * In the header's page, from GCPRELOAD_MARKS_OFFSET on, are the last marks (1.2). Between series
 * and slots are the last slow collections that hit a request with a trace id (1.3); where, says
 * the header.
 *
 * Who may include this: ring/ and cli/; inject/ and engine/ for the words in it. Everything is
 * fixed width, native endian (the header says which), and without pointers. A reader takes sizes
 * and offsets from the header, never from its own sizeof: a minor version may grow header, series
 * and slot at their ends. A major version changes the magic, and readers refuse it.
 *
 * All times are CLOCK_MONOTONIC nanoseconds, but realtime_ns. A text is NUL-terminated within
 * its field, any bytes: it comes from the process's environment and is not to be trusted. From 1.3
 * on service_name is never empty (rules/service.h).
 */
#ifndef GCPRELOAD_RING_LAYOUT_H
#define GCPRELOAD_RING_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/vocabulary.h"

#define GCPRELOAD_RING_MAGIC  "GCPRING1"
#define GCPRELOAD_RING_ENDIAN 0x01020304u
#define GCPRELOAD_RING_MAJOR  1
#define GCPRELOAD_RING_MINOR  3

#define GCPRELOAD_HEADER_SIZE 4096
#define GCPRELOAD_FILE_SLOTS  2048 /* a power of two */
#define GCPRELOAD_SLOT_SIZE   64

/* Base-2 exponential histogram of seconds, as OpenTelemetry's: bucket j holds durations in
 * (2^((j+first)/2^scale), 2^((j+1+first)/2^scale)] seconds. 192 buckets of scale 3 reach from
 * 0.95 microseconds to 16 seconds, each 9 % wide. */
#define GCPRELOAD_HISTOGRAM_SCALE 3
#define GCPRELOAD_HISTOGRAM_FIRST (-160)
#define GCPRELOAD_BUCKETS	  192

/* What the process was doing when the collection ran. Start-up is never shown as a gain. */
enum gcpreload_period {
	GCPRELOAD_PERIOD_STARTUP,
	GCPRELOAD_PERIOD_BASELINE, /* ready, and still the interpreter's own collector */
	GCPRELOAD_PERIOD_TUNED,
	GCPRELOAD_PERIODS
};

enum gcpreload_cause {
	GCPRELOAD_CAUSE_AUTOMATIC,
	GCPRELOAD_CAUSE_EXPLICIT, /* gc.collect() by the application */
	GCPRELOAD_CAUSE_READY,	  /* ours, at readiness */
	GCPRELOAD_CAUSE_PREFORK,  /* ours, before the process forks its workers */
	GCPRELOAD_CAUSE_IDLE,	  /* ours, while the server waited and nothing else of it ran */
	GCPRELOAD_CAUSE_GUARD,
	GCPRELOAD_CAUSE_FINAL,	   /* the interpreter's last, while it finalizes */
	GCPRELOAD_CAUSE_IDLE_BUSY, /* 1.1: as idle, but other threads used the processor */
	GCPRELOAD_CAUSES
};

enum gcpreload_state {
	GCPRELOAD_STATE_STARTING,
	GCPRELOAD_STATE_PARENT, /* froze before it forked; serves nothing itself */
	GCPRELOAD_STATE_BASELINE,
	GCPRELOAD_STATE_OBSERVING,
	GCPRELOAD_STATE_READY,
	GCPRELOAD_STATE_STANDING_BACK,
	GCPRELOAD_STATE_OFF,
	GCPRELOAD_STATES
};

/* 1.1: what keeps the memory of mode idle bounded has taken over. */
enum gcpreload_guard {
	GCPRELOAD_GUARD_NONE,
	GCPRELOAD_GUARD_LIMIT,	/* near the memory limit of the cgroup */
	GCPRELOAD_GUARD_GROWTH, /* memory or descriptors have grown */
	GCPRELOAD_GUARDS
};

/* 1.2: why a mark was begun. */
enum gcpreload_mark_why {
	GCPRELOAD_MARK_WHY_GROWTH,  /* resident memory has grown */
	GCPRELOAD_MARK_WHY_GARBAGE, /* what survived young collections promises garbage */
	GCPRELOAD_MARK_WHY_FILES,   /* many descriptors are open, which garbage may hold */
	GCPRELOAD_MARK_WHY_ASKED,   /* by the application */
	GCPRELOAD_MARK_WHYS
};

/* 1.2: how far a mark is, or how it ended. */
enum gcpreload_mark_how {
	GCPRELOAD_MARK_HOW_RUNNING,
	GCPRELOAD_MARK_HOW_SWEEPING, /* its garbage is being freed */
	GCPRELOAD_MARK_HOW_DONE,
	GCPRELOAD_MARK_HOW_FAILED,
	GCPRELOAD_MARK_HOW_DISCARDED,
	GCPRELOAD_MARK_HOWS
};

/* Bits of gcpreload_header.flags. */
#define GCPRELOAD_FLAG_LATE	       0x1u  /* attached after start: counts are "since attach" */
#define GCPRELOAD_FLAG_SUBINTERPRETERS 0x4u  /* collections of sub-interpreters are not seen */
#define GCPRELOAD_FLAG_PARENT	       0x8u  /* 1.3: forks the workers; serves nothing itself */
#define GCPRELOAD_FLAG_ATTACHED	       0x10u /* 1.3: while it ran; its waits are not seen */

/* 1.3: reason of a ring that ended with state "off" before its process did. */
#define GCPRELOAD_DETACHED "detached"

/* Bits of gcpreload_slot.flags. */
#define GCPRELOAD_SLOT_HIT 0x1u /* 1.3: its struct gcpreload_hit was written */

/* Cumulative, so totals stay exact when the slots were overrun. collections is added last: a
 * reader that finds it equal before and after a copy has a consistent one. */
struct gcpreload_series {
	uint64_t collections;
	uint64_t collected;
	uint64_t uncollectable;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint64_t below; /* durations up to the first bucket's lower bound */
	uint64_t above; /* and beyond the last bucket's upper bound */
	uint64_t reserved;
	uint64_t buckets[GCPRELOAD_BUCKETS];
};

/*
 * Commands to the process: a file NAME.ctl beside the ring NAME, replaced whole by rename(2),
 * of at most GCPRELOAD_CONTROL_SIZE bytes of text:
 *
 *	gcpreload-control 1 SERIAL VERB\n
 *
 * SERIAL is a decimal number that grows (CLOCK_REALTIME nanoseconds will do); a process takes
 * each once, looks at most once a second, and answers in control_serial. VERB is one of
 * "mode=off", "mode=observe", "mode=freeze", "mode=idle", "mode=concurrent", "mode=default" (1.3),
 * "thaw", "ready".
 *
 * 1.3: PID.START.ctl is the same for a process that has no ring: START is field 22 of its
 * /proc/PID/stat, as in the name of a ring. It makes a ring when it has taken the command.
 *
 * 1.3: all.ctl for all processes of the directory, and service.NAME.ctl for those of a service: the
 * same text, with a mode=... that stays in force. mode=default takes it back; the file stays, so
 * that a process that looks late sees that. Bytes of NAME other than letters, digits, "-", "_" and
 * "." are written as %XX. Of the three files the newest SERIAL counts; where it says mode=default,
 * the newest of all.ctl and the service's that says another mode; else the process's settings. A
 * process begins with the mode that its parent was given, and looks again before it acts.
 */
#define GCPRELOAD_CONTROL_MAGIC "gcpreload-control 1 "
#define GCPRELOAD_CONTROL_SIZE	128

#define GCPRELOAD_SERIES (GCPRELOAD_PERIODS * GCPRELOAD_GENERATIONS * GCPRELOAD_CAUSES)

/* What gc.get_stats() counts, one per generation. */
struct gcpreload_totals {
	uint64_t collections;
	uint64_t collected;
	uint64_t uncollectable;
};

/* One collection. seq is its number + 1 when the slot is whole, 0 while it is written. */
struct gcpreload_slot {
	uint64_t seq;
	uint64_t start_ns;
	uint64_t duration_ns;
	uint64_t collected;
	uint64_t uncollectable;
	uint32_t thread; /* kernel thread id */
	uint8_t generation;
	uint8_t cause;
	uint8_t period;
	uint8_t flags;
	uint64_t reserved[2];
};

/* 1.1: mode idle. A chance: the server is about to wait for work. */
struct gcpreload_idle {
	uint64_t delayed_wakeups;   /* collections after which the wait had something at once */
	uint64_t delayed_ns;	    /* their time: what they delayed at most */
	uint64_t refused_busy;	    /* chances not taken: other threads were at work */
	uint64_t refused_family;    /* another process of the family was collecting */
	uint64_t refused_budget;    /* it would have taken longer than GCPRELOAD_BUDGET_MS */
	uint64_t refused_throttled; /* the cgroup's CPU quota was used up lately */
	uint64_t guard_trips;
	uint32_t guard; /* enum gcpreload_guard */
	uint32_t due;	/* the generation that waits for a chance, + 1; 0: none */
};

/* 1.2: mode concurrent. A mark: a copy of the process looks for garbage among old objects; a sweep
 * gives what it found to young collections, in steps. */
struct gcpreload_marks {
	uint64_t begun;
	uint64_t finished;
	uint64_t failed;	 /* killed, crashed, timed out, or without room for its tables */
	uint64_t discarded;	 /* finished, but the result could not be used */
	uint64_t refused_memory; /* not begun: no room near the memory limit */
	uint64_t refused_family; /* not begun: another process of the family was marking */
	uint64_t fork_ns;	 /* in which the process stood still to be copied */
	uint64_t fork_max_ns;	 /* the longest of them */
	uint64_t mark_ns;	 /* from the fork to the result */
	uint64_t cpu_ns;	 /* processor time of the copies */
	uint64_t garbage;	 /* objects found */
	uint64_t swept;		 /* of them given to a young collection */
	uint64_t skipped;	 /* of them no longer valid */
	uint64_t oversize;	 /* components larger than a step, swept alone */
	uint64_t slices;	 /* steps of sweeping */
	uint64_t promotions;	 /* calls of gc.freeze() for survivors */
	uint64_t faults;	 /* page faults of the process while a copy was there */
	uint64_t longest_ns; /* longest step in a request: young collection, slice or promotion */
	/* As of now. */
	uint64_t live;	  /* objects found alive by the last mark */
	uint64_t pending; /* garbage found, and not swept yet */
};

/* 1.2: one mark. seq is its number + 1 when it is whole, 0 while it is written. It is written
 * again as it goes on, with the same number: who reads it twice alike has it whole. */
struct gcpreload_mark {
	uint64_t seq;
	uint64_t start_ns;
	uint64_t fork_ns;
	uint64_t mark_ns; /* from start_ns to the result */
	uint64_t cpu_ns;
	uint64_t live;
	uint64_t garbage;
	uint64_t swept;
	uint64_t skipped;
	uint64_t faults;
	uint64_t resident_before; /* bytes */
	uint64_t resident_after;
	uint32_t why; /* enum gcpreload_mark_why */
	uint32_t how; /* enum gcpreload_mark_how */
	uint64_t reserved[3];
};

/* 1.3: what a serving period had counted when its first GCPRELOAD_WARM_NS were over, which a
 * comparison leaves out: caches are filled then, and modules are imported. */
struct gcpreload_warm {
	uint32_t spent_ms;    /* of the period until then; 0: not over yet */
	uint32_t collections; /* in requests */
	uint64_t in_request_ns;
	uint64_t cpu_ns;
	uint64_t accepted;
};

#define GCPRELOAD_WARM_NS 120000000000ull

/* 1.3: what else the process did in each period, to tell how comparable they are. */
struct gcpreload_load {
	uint64_t as_of_ns;		      /* when this was looked at; 0: never */
	uint64_t cpu_ns[GCPRELOAD_PERIODS];   /* processor time, of all threads */
	uint64_t accepted[GCPRELOAD_PERIODS]; /* connections that accept() and accept4() gave */
	struct gcpreload_warm warm[2];	      /* of baseline and of tuned */
};

/* 1.3: the span that was current in the thread that collected, as W3C's Trace Context has it. */
struct gcpreload_span {
	uint8_t trace_id[16];
	uint8_t span_id[8];
};

/* 1.3: a collection of at least GCPRELOAD_SLOW_MS in a span, written before its slot. seq is the
 * number of the hit + 1 when it is whole, 0 while it is written. */
struct gcpreload_hit {
	uint64_t seq;
	uint64_t event; /* the collection's number + 1: seq of its slot */
	uint64_t start_ns;
	uint64_t duration_ns;
	struct gcpreload_span span;
	uint8_t generation;
	uint8_t cause;
	uint8_t period;
	uint8_t sampled; /* the application says that it exports the trace, or cannot know yet */
	uint32_t thread;
};

/* 1.3: where they are. A file of before has zeros here. */
struct gcpreload_hits {
	uint64_t written; /* so far; the last n of them are kept, number i at i % n */
	uint32_t offset;
	uint16_t n;
	uint16_t size;
};

#define GCPRELOAD_HITS_KEPT 48u

#define GCPRELOAD_MARKS_OFFSET 2048
#define GCPRELOAD_MARKS_KEPT   16u

/* 1.3: more about the service. */
struct gcpreload_service {
	uint32_t from;	  /* enum gcpreload_service_from */
	uint32_t program; /* a hash of what runs in it, of a derived name; 0: unknown */
};

struct gcpreload_header {
	uint8_t magic[8]; /* written last */
	uint32_t endian;
	uint16_t major;
	uint16_t minor;
	uint32_t header_size;
	uint32_t total_size;
	uint32_t series_offset;
	uint32_t series_size;
	uint32_t n_periods;
	uint32_t n_generations;
	uint32_t n_causes;
	uint32_t n_buckets;
	int32_t histogram_scale;
	int32_t histogram_first;
	uint32_t slots_offset;
	uint32_t slot_size;
	uint32_t n_slots;
	uint32_t reserved0;

	/* progress */
	uint64_t head;	   /* collections written since the process began (or forked) */
	uint64_t sequence; /* odd while state, reason and the like are being changed */
	struct gcpreload_totals inherited[GCPRELOAD_GENERATIONS]; /* of the parent, or unseen */

	/* identity */
	int32_t pid; /* in its own pid namespace */
	int32_t ppid;
	uint32_t uid;
	uint32_t flags;
	uint64_t pid_namespace; /* inode of /proc/self/ns/pid, 0 if unknown */
	uint64_t start_time;	/* clock ticks since boot: field 22 of /proc/self/stat */
	uint64_t attached_ns;	/* the collector is seen from here on; a child: its fork */
	uint64_t published_ns;
	uint64_t realtime_ns; /* CLOCK_REALTIME at published_ns */

	/* state */
	uint32_t state;
	uint32_t mode;
	uint64_t period_ns[GCPRELOAD_PERIODS]; /* when each began, 0: not yet */
	int32_t thresholds[GCPRELOAD_GENERATIONS];
	int32_t thresholds_before[GCPRELOAD_GENERATIONS];
	int64_t frozen_objects;	 /* counted once, right after the freeze; -1: never counted */
	uint64_t changed_ns;	 /* last change of anything in this part */
	uint64_t log_dropped;	 /* lines of the log that would have blocked */
	uint64_t control_serial; /* of the last command taken from NAME.ctl */
	uint64_t due_ns; /* when the next action is due, 0: none. Past: nothing reached it */
	uint32_t period; /* the current one; it may go back (tuned, thawed, tuned) */
	uint32_t reserved1;
	uint64_t period_since_ns;		     /* when the current stretch of it began */
	uint64_t period_spent_ns[GCPRELOAD_PERIODS]; /* in earlier stretches of each */

	char library[32];
	char python[32];
	char hostname[64];
	char command[256]; /* arguments separated by a space */
	char cgroup[256];
	char service_name[64];
	char service_version[64];
	char service_environment[64];
	char reason[128];
	char trigger[64]; /* the setting */
	char fired[64];	  /* what fired */

	/* 1.1; zeros in a file of 1.0 */
	struct gcpreload_idle idle;
	uint32_t sample; /* enum gcpreload_sample */
	uint32_t reserved2;

	/* 1.2; zeros in a file of before */
	struct gcpreload_marks marks;

	/* 1.3; zeros in a file of before */
	struct gcpreload_load load;
	struct gcpreload_hits hits;
	struct gcpreload_service service;
};

/*
 * What is left of processes whose rings were removed: a file for each service beside the rings,
 * retired.0 to retired.63 (the first one free, from a hash of the name on), and retired.other for
 * the services that found none. It is a ring without slots and marks and with a magic of its own:
 * sizes, service_*, the counters of the header (ring/counters.def; sums), and all series; the rest
 * of the header is zero. Behind the header, at GCPRELOAD_RETIRED_OFFSET, comes the struct below. A
 * file is replaced whole, by rename(2), never written to.
 *
 * Who removes a ring (sweep.c) first folds it in, under a lock on the directory, then sets the
 * ring's S_ISVTX, then unlinks it. Of a crash between these: the ring that "last" names is in the
 * sums already, so a reader leaves it out, and the next sweeper only unlinks it. A reader that has
 * a removed ring open sees by S_ISVTX whether it was folded.
 */
#define GCPRELOAD_RETIRED_MAGIC	 "GCPTOTL1"
#define GCPRELOAD_RETIRED_OFFSET 2048
#define GCPRELOAD_RETIRED_FILES	 65 /* the last one is retired.other */

struct gcpreload_retired {
	uint64_t folded; /* rings */
	uint64_t lost;	 /* their events that were written over */
	char last[64];	 /* the name of the last one */

	/* 1.3: of the one that came first. CLOCK_REALTIME; 0: not known */
	uint64_t first_published_ns;
	uint64_t first_attached_ns;
};

_Static_assert(sizeof(struct gcpreload_series) == 64 + 8 * GCPRELOAD_BUCKETS, "series");
_Static_assert(sizeof(struct gcpreload_slot) == GCPRELOAD_SLOT_SIZE, "slot");
_Static_assert(offsetof(struct gcpreload_slot, thread) == 40, "slot.thread");
_Static_assert(offsetof(struct gcpreload_header, head) == 72, "header.head");
_Static_assert(offsetof(struct gcpreload_header, pid) == 160, "header.pid");
_Static_assert(offsetof(struct gcpreload_header, state) == 216, "header.state");
_Static_assert(offsetof(struct gcpreload_header, library) == 352, "header.library");
_Static_assert(offsetof(struct gcpreload_header, idle) == 1440, "header.idle");
_Static_assert(sizeof(struct gcpreload_idle) == 64, "idle");
_Static_assert(offsetof(struct gcpreload_header, marks) == 1512, "header.marks");
_Static_assert(sizeof(struct gcpreload_marks) == 160, "marks");
_Static_assert(sizeof(struct gcpreload_mark) == 128, "mark");
_Static_assert(offsetof(struct gcpreload_header, load) == 1672, "header.load");
_Static_assert(sizeof(struct gcpreload_load) == 120, "load");
_Static_assert(sizeof(struct gcpreload_hit) == 64, "hit");
_Static_assert(sizeof(struct gcpreload_hits) == 16, "hits");
_Static_assert(offsetof(struct gcpreload_header, service) == 1808, "header.service");
_Static_assert(sizeof(struct gcpreload_service) == 8, "service");
_Static_assert(sizeof(struct gcpreload_header) <= GCPRELOAD_MARKS_OFFSET, "header and marks");
_Static_assert(GCPRELOAD_MARKS_OFFSET + GCPRELOAD_MARKS_KEPT * sizeof(struct gcpreload_mark) <=
		   GCPRELOAD_HEADER_SIZE,
	       "marks");
_Static_assert(sizeof(struct gcpreload_header) <= GCPRELOAD_HEADER_SIZE, "header");
_Static_assert(sizeof(struct gcpreload_header) <= GCPRELOAD_RETIRED_OFFSET, "header and retired");
_Static_assert(sizeof(struct gcpreload_retired) == 96, "retired");
_Static_assert(GCPRELOAD_HEADER_SIZE % GCPRELOAD_SLOT_SIZE == 0, "header alignment");
_Static_assert(sizeof(struct gcpreload_series) % GCPRELOAD_SLOT_SIZE == 0, "series alignment");

#define GCPRELOAD_SERIES_OFFSET GCPRELOAD_HEADER_SIZE
#define GCPRELOAD_HITS_OFFSET                                                                      \
	(GCPRELOAD_SERIES_OFFSET + GCPRELOAD_SERIES * sizeof(struct gcpreload_series))
#define GCPRELOAD_SLOTS_OFFSET                                                                     \
	(GCPRELOAD_HITS_OFFSET + GCPRELOAD_HITS_KEPT * sizeof(struct gcpreload_hit))
#define GCPRELOAD_FILE_SIZE                                                                        \
	((GCPRELOAD_SLOTS_OFFSET + GCPRELOAD_FILE_SLOTS * GCPRELOAD_SLOT_SIZE + 4095) & ~4095ul)

_Static_assert(GCPRELOAD_FILE_SIZE <= 256 * 1024, "64 workers in the 64 MiB of a container");

#endif

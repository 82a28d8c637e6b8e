/* SPDX-License-Identifier: MIT */
/*
 * What is done to the collector, and when it is left alone. Each function tells process.status
 * what it did; publishing that is the caller's. GIL held, in the main interpreter; gc is the gc
 * module; no exception is left.
 */
#ifndef GCPRELOAD_ENGINE_TUNER_H
#define GCPRELOAD_ENGINE_TUNER_H

#include "inject/pyapi.h"
#include "ring/writer.h"

/* A new runtime begins in this process: nothing of it is ours. */
void tuner_forget(void);

/* Notes what the interpreter's own thresholds are; they tell later whether the application has
 * tuned. Returns false if they cannot be read. */
bool tuner_note_defaults(PyObject *gc);

/* The application has run for a while: what is not the interpreter's own is its doing. */
void tuner_doubt_defaults(void);

/* The thresholds that are in force as far as we know, and those before we changed them. */
void tuner_thresholds(int32_t now[GCPRELOAD_GENERATIONS], int32_t before[GCPRELOAD_GENERATIONS]);

/* How much was frozen by us, here or in an ancestor, or by the interpreter. */
int64_t tuner_frozen(void);

/* Whether the application leaves its collector to us; if not, *why says what it did. */
enum tuner_may {
	TUNER_MAY,
	/* gc is disabled or debugged at this moment. Libraries do that for some milliseconds, in
	 * any thread; after some seconds it is the application's word. */
	TUNER_NOT_NOW,
	/* The application's own word: the same for good, thresholds that are neither the
	 * interpreter's nor ours, objects frozen by others. GCPRELOAD_FORCE overrides. */
	TUNER_NEVER,
};

/* Whether tuning may go on; else it stands back, or process.status says why not now. first: also
 * whether it has frozen objects, which takes a walk over all that is frozen (9 ms a million). */
enum tuner_may tuner_consent(PyObject *gc, bool first);

/* Whether a process that is ready still leaves its collector to us; else it stands back. */
bool tuner_still_ours(PyObject *gc);

/* In a forked child: the interpreter's own thresholds, until the child is ready itself. What its
 * parent froze stays so, or the child's collections would make its pages the child's own. */
void tuner_begin_process(PyObject *gc);

/* For the status of a tuned process: what of the program is not as it would like with us, else that
 * it is in the sample, or "". A text that stays. */
const char *tuner_limits(void);

struct tuner_done {
	bool tuned; /* else it stands back */
	bool collected;
	int64_t garbage;  /* objects, or -1 */
	uint64_t took_ns; /* by the collection, of its thread's processor time */
};

/* So many were counted in this process and its ancestors. */
uint64_t tuner_full_collections(void);

/* collect, freeze, thresholds: the whole recipe. */
struct tuner_done tuner_tune(PyObject *gc);

/* Other thresholds, after tuner_tune. */
bool tuner_set_thresholds(PyObject *gc, const int32_t wanted[GCPRELOAD_GENERATIONS]);

/* A full collection of all there is, of what we froze, too. What was frozen is frozen again, and
 * with freeze_all, or where objects lie in a way that is not known, all that is left. Returns how
 * many objects are not frozen then; -1 where what is frozen is an ancestor's, whose pages it would
 * make this process's own. */
int64_t tuner_collect_all(PyObject *gc, enum gcpreload_cause cause, bool freeze_all);

/* collect and freeze only. */
void tuner_freeze_before_fork(PyObject *gc);

/* Nothing of ours stays in the collector, as after standing back. */
void tuner_thaw(PyObject *gc);

#endif

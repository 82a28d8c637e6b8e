/* SPDX-License-Identifier: MIT */
/*
 * What is done to the collector, and when it is left alone. Each function tells process.status
 * what it did; publishing that is the caller's. GIL held, in the main interpreter; gc is the gc
 * module; no exception is left.
 */
#ifndef GCPRELOAD_INJECT_TUNER_H
#define GCPRELOAD_INJECT_TUNER_H

#include "inject/inject.h"
#include "inject/pyapi.h"

/* What the version of the interpreter allows (DESIGN.md, "What is done to which collector"). */
enum tuner_recipe {
	TUNER_OBSERVE,	  /* tuning would make it worse */
	TUNER_THRESHOLDS, /* freeze costs a walk of the heap: only before a fork */
	TUNER_FREEZE,
};

enum tuner_recipe tuner_recipe_for(const struct pyversion *version);

/* A new runtime begins in this process: nothing of it is ours. */
void tuner_forget(void);

/* Notes what the interpreter's own thresholds are; they tell later whether the application has
 * tuned. Returns false if they cannot be read. */
bool tuner_note_defaults(PyObject *gc);

/* The thresholds that are in force as far as we know, and those before we changed them. */
void tuner_thresholds(int32_t now[GCPRELOAD_GENERATIONS], int32_t before[GCPRELOAD_GENERATIONS]);

/* How much was frozen by us, here or in an ancestor, or by the interpreter. */
int64_t tuner_frozen(void);

/* Why the application's own word must win, or NULL: gc disabled or debugged, thresholds that
 * are neither the interpreter's nor ours, objects frozen by others. GCPRELOAD_FORCE overrides. */
const char *tuner_applications_word(PyObject *gc);

/* The same for a look now and then: gc.get_freeze_count() walks all that is frozen, 9 ms for a
 * million objects, so it is not asked. */
const char *tuner_applications_word_later(PyObject *gc);

/* Before a worker stands back that has decided nothing yet: what its parent froze for it goes
 * back to the collector, unless the application has frozen more. */
void tuner_give_back(PyObject *gc);

/* Leaves the collector alone for good; restores nothing. reason: see above. */
void tuner_stand_back(const char *reason);

/* collect, freeze, thresholds: the whole recipe. */
enum gcpreload_acted tuner_tune(PyObject *gc);

/* Other thresholds, after tuner_tune; where GCPRELOAD_THRESHOLDS names a third one, that stays. */
bool tuner_adapt_thresholds(PyObject *gc, int32_t threshold0, int32_t threshold2);

/* collect and freeze only. */
void tuner_freeze_before_fork(PyObject *gc);

/* Unfreezes what we froze and puts the thresholds back. */
void tuner_thaw(PyObject *gc);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * gc.freeze() and gc.unfreeze(), ours and the application's. What is frozen is out of the
 * collector's sight; when the application asks for a full collection, it is given back for that
 * one. GIL held, in the main interpreter; gc is the gc module.
 */
#ifndef GCPRELOAD_ENGINE_FREEZER_H
#define GCPRELOAD_ENGINE_FREEZER_H

#include <stdbool.h>
#include <stdint.h>

#include "inject/pyapi.h"
#include "ring/layout.h"

/* From now on the application's own gc.freeze() and gc.unfreeze() are noticed, through the method
 * table. Returns whether they are; once is enough for a runtime. */
bool freezer_intercept(PyObject *gc);

/* A new runtime begins in this process: nothing of it is ours. */
void freezer_forget(void);

/* gc.freeze() and gc.unfreeze() in our own name. */
bool freezer_freeze(PyObject *gc);
bool freezer_unfreeze(PyObject *gc);

/* What the application did since freezer_intercept: froze something itself, or unfroze all. */
bool freezer_application_froze(void);
bool freezer_application_unfroze(void);

/* Called when the application does either, before it is done. One listener. */
void freezer_on_application(void (*told)(void));

/* Who asks the observer for a call at "start". */
enum { ENGINE_FREEZER = 1, ENGINE_STARTUP = 2, ENGINE_PACING = 4 };

/* Whether full collections that the application asks for must find what we froze. */
void freezer_open_for_full(bool yes);

/* In gc.callbacks, at "start" of a collection of the main interpreter. Returns what it is to be
 * called: PyGC_Collect is told from an automatic collection here. */
enum gcpreload_cause freezer_at_start(unsigned generation, enum gcpreload_cause cause);

/* At its "stop": what was given back is frozen again. Returns whether that was so. */
bool freezer_at_stop(void);

#endif

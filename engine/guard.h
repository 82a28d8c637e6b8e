/* SPDX-License-Identifier: MIT */
/* What bounds the memory in every mode that tunes: full collections, of what is frozen too where
 * that must be, when memory or descriptors have grown. GIL held; gc is the gc module. */
#ifndef GCPRELOAD_ENGINE_GUARD_H
#define GCPRELOAD_ENGINE_GUARD_H

#include "inject/pyapi.h"

/* A full collection; a second one with what is frozen if the first did not help. */
void guard_collect(PyObject *gc);

/* What pacing_observed asked for, between two bytecodes: in the middle of a request, so only where
 * no wait of the server's has come. */
void guard_act(PyObject *gc);

#endif

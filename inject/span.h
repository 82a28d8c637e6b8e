/* SPDX-License-Identifier: MIT */
/*
 * The span of the application's tracing library (OpenTelemetry, ddtrace) that is current in this
 * thread: which request a collection hit.
 */
#ifndef GCPRELOAD_INJECT_SPAN_H
#define GCPRELOAD_INJECT_SPAN_H

#include <stdbool.h>

#include "ring/layout.h"

/* Fills span and sampled. False: no span, or no tracing library that is known. Runs no code of the
 * application. With the GIL, in the main interpreter, not while it finalizes; keeps a pending
 * exception. */
bool span_current(struct gcpreload_hit *hit);

#endif

/* SPDX-License-Identifier: MIT */
/* GCPRELOAD_SLOW_CENSUS: which types the objects are of that a slow full collection went through.
 */
#ifndef GCPRELOAD_ENGINE_CENSUS_H
#define GCPRELOAD_ENGINE_CENSUS_H

#include "ring/writer.h"

/* In "stop" of a slow collection, of the main interpreter: goes through the oldest generation, for
 * a bounded time, and logs the most frequent types. Nothing is allocated but a list, and no code of
 * the application runs. */
void census_take(const struct gcpreload_event *event);

#endif

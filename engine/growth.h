/* SPDX-License-Identifier: MIT */
/*
 * What garbage may hold that the interpreter's own collector would have freed by now: memory and
 * open descriptors. It collects every 700 objects or so, whatever they hold; we do not, so this is
 * looked at. Pure: no clock, no system call.
 */
#ifndef GCPRELOAD_ENGINE_GROWTH_H
#define GCPRELOAD_ENGINE_GROWTH_H

#include <stdbool.h>

#include "base/machine.h"

/* Whether a collection is due, given what there was when all garbage was gone. */
bool growth_is_due(const struct growth *then, const struct growth *now);

/* Whether it is for descriptors. */
bool growth_files_are_due(const struct growth *then, const struct growth *now);

#endif

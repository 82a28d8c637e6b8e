/* SPDX-License-Identifier: MIT */
/*
 * gc.freeze() freezes everything. Where everything was looked at because memory has grown, only
 * what was frozen before is to be frozen again: what lives for a while only (sessions, a cache)
 * would be garbage that nobody finds from then on.
 *
 * Which objects were frozen is kept as a set of addresses; one that was freed meanwhile, and whose
 * memory another object has now, is frozen in its place.
 *
 * GIL held, main interpreter; gc is the gc module.
 */
#ifndef GCPRELOAD_ENGINE_REFREEZE_H
#define GCPRELOAD_ENGINE_REFREEZE_H

#include "engine/graph_table.h"
#include "engine/layout.h"

struct refreeze {
	const struct layout *layout;
	struct graph_table frozen;
};

/* Notes what is frozen. layout may be NULL: objects lie in a way that is not known. Returns 0,
 * -ENOTSUP or -ENOMEM: refreeze_rest() must not be called. Takes 1/64 of the memory of the frozen
 * objects, until refreeze_rest(). */
int refreeze_note(struct refreeze *refreeze, const struct layout *layout);

/* Everything is frozen; unfreezes all that was not when it was noted, into the oldest generation.
 * Returns how many these are; -1: it could not, and everything stays frozen. */
int64_t refreeze_rest(struct refreeze *refreeze, PyObject *gc);

#endif

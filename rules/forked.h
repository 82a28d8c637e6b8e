/* SPDX-License-Identifier: MIT */
/* Forks, and memory that parent and child share: which of them are made ready for it, and how much
 * of a heap a worker may look at that nobody made ready. */
#ifndef GCPRELOAD_RULES_FORKED_H
#define GCPRELOAD_RULES_FORKED_H

#include <stdbool.h>
#include <stdint.h>

/* Whether the module whose code calls os.fork() does so for workers that share what it has loaded,
 * although nobody listens there; loaded says whether another module is. */
bool forked_by_module(const char *module, bool (*loaded)(const char *name));

/* Whether a heap of so many objects is worth a collection and a freeze before such a fork. */
bool forked_is_worth(int64_t objects);

struct forked {
	bool is_child;
	bool parent_froze;	   /* us, in an ancestor: what is not frozen is little */
	bool start_was_emptied;	   /* GCPRELOAD_STARTUP_GC=0: the interpreter looked at nothing */
	uint64_t full_since;	   /* full collections that it has made itself */
	uint64_t resident_at_fork; /* bytes; 0: unknown */
	uint64_t resident;
};

/* The oldest generation that a process collects before it freezes for the first time. */
int forked_generation(const struct forked *process);

#endif

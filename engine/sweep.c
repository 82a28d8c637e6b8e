/* SPDX-License-Identifier: MIT */
#include "engine/sweep.h"

#include "engine/freed.h"
#include "engine/layout.h"

#define AHEAD 8 /* objects whose headers are fetched while others are moved */

void sweep_take(struct sweep *sweep, const struct graph_garbage *garbage)
{
	*sweep = (struct sweep){ .garbage = garbage };
}

uint64_t sweep_next(const struct sweep *sweep)
{
	const struct graph_garbage *garbage = sweep->garbage;

	return garbage && sweep->at < garbage->used ? garbage->words[sweep->at] : 0;
}

uint64_t sweep_left(const struct sweep *sweep)
{
	uint64_t done = sweep->swept + sweep->skipped;

	return sweep->garbage && sweep->garbage->garbage > done ? sweep->garbage->garbage - done
								: 0;
}

/* In this order: memory that was given back must not be read, it may not be there any more. What is
 * parked on a free list is not tracked. Of memory that is not from the allocator that we watch, the
 * neighbours in the list say whether it is what it was. */
static bool is_as_it_was(uintptr_t word, const struct graph_head *head)
{
	uintptr_t block = (uintptr_t)head - (word & GRAPH_PREHEADER ? sizeof *head : 0);

	return !freed_contains(block) && head->next && layout_prev(layout_next(head)) == head &&
	       layout_next(layout_prev(head)) == head;
}

static bool give_object_back(uintptr_t word)
{
	PyObject *object = (PyObject *)(word & ~GRAPH_PREHEADER);

	if (!is_as_it_was(word, layout_head(object)))
		return false;
	/* Tracking what is tracked ends the process. */
	py.PyObject_GC_UnTrack(object);
	py.PyObject_GC_Track(object);
	return true;
}

static uint64_t give_component_back(struct sweep *sweep, const uintptr_t *words, uint64_t n)
{
	uint64_t i, given = 0;

	for (i = 0; i < n; i++) {
		if (i + AHEAD < n)
			__builtin_prefetch((void *)((words[i + AHEAD] & ~GRAPH_PREHEADER) - 16), 1);
		given += give_object_back(words[i]);
	}
	sweep->swept += given;
	sweep->skipped += n - given;
	return given;
}

uint64_t sweep_some(struct sweep *sweep, uint64_t most, bool oversize)
{
	uint64_t n, seen = 0, given = 0;

	while ((n = sweep_next(sweep)) != 0) {
		if (seen + n > most && !(oversize && !seen))
			break;
		given += give_component_back(sweep, sweep->garbage->words + sweep->at + 1, n);
		sweep->at += n + 1;
		seen += n;
	}
	return given;
}

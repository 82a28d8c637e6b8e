/* SPDX-License-Identifier: MIT */
/*
 * How objects lie in this interpreter's memory, compared with what the public API says before
 * anything relies on it, and where the list of its permanent generation is. GIL held, main
 * interpreter; gc is the gc module.
 */
#ifndef GCPRELOAD_ENGINE_LAYOUT_H
#define GCPRELOAD_ENGINE_LAYOUT_H

#include "engine/graph.h"
#include "inject/pyapi.h"

struct layout {
	struct graph_layout graph;
	/* The heads of the lists, which are no objects. */
	const struct graph_head *permanent, *young;
	/* What was frozen after this object is this process's own; NULL: everything is. */
	const struct graph_head *boundary;
};

/* What is frozen by now is shared with other processes, and is left to them. Keeps an object for
 * ever. Returns whether it could be made. */
bool layout_set_boundary(PyObject *gc, struct layout *layout);

/* Objects in generation 0, at most so many: gc.get_count() does not know, because each old object
 * that dies is subtracted there. A walk from one to the next. */
uint64_t layout_count_young(const struct layout *layout, uint64_t most);

/* The header of an object, and back. */
static inline struct graph_head *layout_head(PyObject *object)
{
	return (struct graph_head *)object - 1;
}

static inline const struct graph_head *layout_next(const struct graph_head *head)
{
	return (const struct graph_head *)(head->next & ~GRAPH_FLAGS);
}

static inline const struct graph_head *layout_prev(const struct graph_head *head)
{
	return (const struct graph_head *)(head->prev & ~GRAPH_FLAGS);
}

/* The head of the list of generation 2, or NULL where it is not known. Freezes nothing; no
 * exception is left. */
const struct graph_head *layout_oldest(PyObject *gc);

/* Freezes everything (gc.freeze() twice). Returns NULL, or why objects or lists are not as they
 * should be: a text that stays. No exception is left. */
const char *layout_find(PyObject *gc, struct layout *layout);

#endif

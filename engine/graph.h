/* SPDX-License-Identifier: MIT */
/*
 * Which objects of the interpreter's permanent generation nothing outside of it reaches: what
 * CPython's own collector computes (deduce_unreachable in Modules/gcmodule.c, Python/gc.c), without
 * a write to any object, so that a copy-on-write child can do it. Runs in that child: no lock, no
 * libc but mmap(2), no Python but tp_traverse. Memory: engine/graph_table.h, and 4 bytes an object;
 * up to 8 more for deep structures.
 *
 * Offsets in objects and types are those of all release and debug builds of 3.8 to 3.15 without
 * Py_TRACE_REFS; engine/layout compares them with the public API before they are used.
 */
#ifndef GCPRELOAD_ENGINE_GRAPH_H
#define GCPRELOAD_ENGINE_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

/* Include/internal/pycore_gc.h, PyGC_Head: right before the object. The two low bits of each word
 * are flags. next of the last one is the head of the list, which is no object. */
struct graph_head {
	uintptr_t next;
	uintptr_t prev;
};

#define GRAPH_FLAGS ((uintptr_t)3)

/* Include/object.h, Include/cpython/object.h; bytes. */
enum {
	GRAPH_REFCOUNT = 0,
	GRAPH_TYPE = 8,
	GRAPH_TYPE_FLAGS = 168,
	GRAPH_TYPE_TRAVERSE = 184,
};

/* What differs between versions. */
struct graph_layout {
	/* Bits of tp_flags: objects of a type with one of these begin two words earlier (managed
	 * dict and weakrefs, 3.11 and later); 0: none do. */
	uint64_t preheader_flags;
	/* 3.12 and later: the low 32 bits are the count, and those of an immortal object are
	 * negative as an int32_t. */
	bool count_is_32_bits;
};

/* The block of memory of an object begins 16 bytes before it, or 32 where this bit of its address
 * in the result is set. */
#define GRAPH_PREHEADER ((uintptr_t)1)

/* The result. Words: for each component (objects connected by references in whatever direction, of
 * which none is reached from outside) how many objects it has, and then their addresses. */
struct graph_garbage {
	uint64_t live;	     /* objects of the list that are reached */
	uint64_t garbage;    /* and that are not */
	uint64_t components; /* that are whole in words */
	uint64_t used;	     /* words */
	uint64_t
	    capacity; /* words there is room for; what does not fit is left for the next mark */
	uintptr_t *words;
};

/* head: the head of the list, which holds no object; the list is walked from both ends, or where
 * after is not NULL only what comes after that object: references from the rest are from outside.
 * stopped(arg) is asked every few thousand objects: true ends it; it may be NULL. Returns 0,
 * -ENOMEM, or -ECANCELED. What it mapped stays mapped: the process ends. */
int graph_find_garbage(const struct graph_layout *layout, const struct graph_head *head,
		       const struct graph_head *after, struct graph_garbage *result,
		       bool (*stopped)(void *arg), void *arg);

#endif

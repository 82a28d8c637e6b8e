/* SPDX-License-Identifier: MIT */
#include "engine/layout.h"

#include <string.h>

#include "engine/collector.h"
#include "engine/freezer.h"
#include "inject/module.h"

/* Include/object.h: bits of tp_flags. Objects of such a type have two words before the header. */
#define MANAGED_WEAKREF (1ul << 3) /* 3.12 and later */
#define MANAGED_DICT	(1ul << 4) /* 3.11 and later */

static const char unknown[] = "not concurrent: objects of this Python are not laid out as known";

static uint64_t word_at(const void *object, size_t offset)
{
	uint64_t word;

	memcpy(&word, (const char *)object + offset, sizeof word);
	return word;
}

static bool counts_as_expected(PyObject *object, const struct graph_layout *layout)
{
	uint64_t mask = layout->count_is_32_bits ? UINT32_MAX : UINT64_MAX, before, after;

	before = word_at(object, GRAPH_REFCOUNT) & mask;
	py.Py_IncRef(object);
	after = word_at(object, GRAPH_REFCOUNT) & mask;
	py.Py_DecRef(object);
	return before == 1 && after == 2;
}

static bool type_is_as_expected(PyObject *type)
{
	return word_at(type, GRAPH_TYPE_FLAGS) == py.PyType_GetFlags(type) &&
	       word_at(type, GRAPH_TYPE_TRAVERSE) ==
		   (uint64_t)(uintptr_t)py.PyType_GetSlot(type, Py_tp_traverse);
}

/* PyType_GetSlot knows all types from 3.10 on; before, those made at run time. Every interpreter
 * has made one: one of ours would be seen in object.__subclasses__(), and frozen there. */
static PyObject *type_made_at_run_time(void)
{
	PyObject *sys = module_loaded("sys");
	PyObject *spec = sys ? py_attribute(sys, "__spec__") : NULL;
	PyObject *type = spec ? py.PyObject_Type(spec) : NULL;

	py_drop(spec);
	return type;
}

static bool types_are_as_expected(PyObject *object)
{
	PyObject *type = py.PyObject_Type(object), *made = type_made_at_run_time();
	bool ok = made && word_at(object, GRAPH_TYPE) == (uint64_t)(uintptr_t)type &&
		  type_is_as_expected(made) &&
		  (python_version.minor < 10 || type_is_as_expected(type));

	py_drop(made);
	py_drop(type);
	return ok;
}

static bool are_linked(PyObject *first, PyObject *second)
{
	return layout_next(layout_head(first)) == layout_head(second) &&
	       layout_prev(layout_head(second)) == layout_head(first);
}

static bool objects_are_as_expected(const struct graph_layout *layout)
{
	PyObject *first = py.PyList_New(0), *second = py.PyList_New(0);
	bool ok = first && second && are_linked(first, second) &&
		  counts_as_expected(first, layout) && types_are_as_expected(first);

	py_drop(first);
	py_drop(second);
	return ok;
}

/* Whether a list holds nothing but one object. */
static const struct graph_head *head_of_list(const struct graph_head *only)
{
	const struct graph_head *head = layout_next(only);

	return head != only && layout_prev(head) == only && layout_next(head) == only &&
		       layout_prev(only) == head
		   ? head
		   : NULL;
}

/* gc.freeze() appends the generations one after the other, so only what is frozen alone is the
 * last one of the list for certain; what comes after it is the head. */
static const struct graph_head *head_after(const struct graph_head *last)
{
	const struct graph_head *head = layout_next(last);

	return head != last && layout_prev(head) == last &&
		       layout_prev(layout_next(head)) == head &&
		       layout_next(layout_prev(last)) == last
		   ? head
		   : NULL;
}

static bool find_lists(PyObject *gc, struct layout *layout)
{
	const struct graph_head *last;
	PyObject *object;
	bool ok;

	if (!freezer_freeze(gc))
		return false;
	object = py.PyList_New(0);
	if (!object)
		return false;
	last = layout_head(object);
	layout->young = head_of_list(last);
	ok = freezer_freeze(gc);
	layout->permanent = ok ? head_after(last) : NULL;
	py_drop(object);
	return layout->young && layout->permanent && layout->young != layout->permanent;
}

bool layout_set_boundary(PyObject *gc, struct layout *layout)
{
	PyObject *object;

	layout->boundary = NULL;
	object = freezer_freeze(gc) ? py.PyList_New(0) : NULL;
	if (!object || !freezer_freeze(gc)) {
		py_drop(object);
		return false;
	}
	layout->boundary = layout_head(object);
	return true;
}

uint64_t layout_count_young(const struct layout *layout, uint64_t most)
{
	const struct graph_head *head = layout_next(layout->young);
	uint64_t n = 0;

	for (; head != layout->young && n < most; n++)
		head = layout_next(head);
	return n;
}

static void fill_graph(struct graph_layout *graph)
{
	graph->count_is_32_bits = python_version.minor >= 12;
	graph->preheader_flags = python_version.minor < 11    ? 0
				 : python_version.minor == 11 ? MANAGED_DICT
							      : MANAGED_DICT | MANAGED_WEAKREF;
}

/* Include/internal/pycore_gc.h: one of an array. */
struct generation {
	struct graph_head head;
	int32_t threshold;
	int32_t count;
};

_Static_assert(sizeof(struct generation) == 24, "as the interpreter has it");

/* A new object is the last one of the youngest generation, so what comes after it is the head. */
static const struct generation *generations_after(PyObject *last, PyObject *gc)
{
	const struct generation *list = (const void *)layout_next(layout_head(last));
	int32_t thresholds[GCPRELOAD_GENERATIONS];
	int g;

	if (!collector_thresholds(gc, thresholds))
		return NULL;
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		if (list[g].threshold != thresholds[g] ||
		    layout_prev(layout_next(&list[g].head)) != &list[g].head ||
		    layout_next(layout_prev(&list[g].head)) != &list[g].head)
			return NULL;
	return list;
}

const struct graph_head *layout_oldest(PyObject *gc)
{
	const struct generation *list = NULL;
	struct graph_layout graph;
	PyObject *last;

	fill_graph(&graph);
	if (!objects_are_as_expected(&graph))
		return NULL;
	last = py.PyList_New(0);
	if (last)
		list = generations_after(last, gc);
	py_drop(last);
	return list ? &list[GCPRELOAD_GENERATIONS - 1].head : NULL;
}

const char *layout_find(PyObject *gc, struct layout *layout)
{
	fill_graph(&layout->graph);
	if (objects_are_as_expected(&layout->graph) && find_lists(gc, layout))
		return NULL;
	py.PyErr_Clear();
	return unknown;
}

/* SPDX-License-Identifier: MIT */
#include "engine/referrers.h"

#include "engine/freezer.h"
#include "engine/layout.h"
#include "inject/module.h"
#include "rules/recipe.h"

typedef int (*referrers_traverse)(PyObject *, int (*visit)(PyObject *, void *), void *);

static struct layout layout;
static bool looked, known;
static PyCFunction real_referrers, real_objects;

/* What the application froze itself is hidden from it without us, too. The table is of all
 * interpreters. */
static bool shows_frozen(void)
{
	return known && py_in_main_interpreter() && !freezer_application_froze();
}

/* CPython 3.12 freezes these itself, as it meets them. */
static bool is_immortal(PyObject *object)
{
	return layout.graph.count_is_32_bits &&
	       *(const int32_t *)((const char *)object + GRAPH_REFCOUNT) < 0;
}

/* The arguments: a tuple, or from 3.13 on an array. */
struct sought {
	PyObject *tuple;
	PyObject *const *array;
	Py_ssize_t n;
};

static int is_sought(PyObject *object, void *arg)
{
	const struct sought *sought = arg;
	Py_ssize_t i;

	for (i = 0; i < sought->n; i++)
		if (object ==
		    (sought->tuple ? py.PyTuple_GetItem(sought->tuple, i) : sought->array[i]))
			return 1;
	return 0;
}

static bool refers_to_any(PyObject *object, struct sought *sought)
{
	const char *type = *(const char *const *)((const char *)object + GRAPH_TYPE);
	referrers_traverse traverse = *(const referrers_traverse *)(type + GRAPH_TYPE_TRAVERSE);

	/* A tuple that the caller has unpacked is the tuple of the arguments. */
	return object != sought->tuple && traverse && traverse(object, is_sought, sought);
}

/* As the interpreter does for its other lists, and where nothing is sought, all of them. */
static PyObject *add_frozen(PyObject *result, struct sought *sought)
{
	const struct graph_head *head = layout_next(layout.permanent);

	for (; head != layout.permanent; head = layout_next(head)) {
		PyObject *object = (PyObject *)(head + 1);

		if (!is_immortal(object) && (!sought || refers_to_any(object, sought)) &&
		    py.PyList_Append(result, object) < 0) {
			py.Py_DecRef(result);
			return NULL;
		}
	}
	return result;
}

static PyObject *find_referrers(PyObject *self, PyObject *tuple)
{
	PyObject *result = real_referrers(self, tuple);
	struct sought sought = { .tuple = tuple };

	if (!result || !shows_frozen())
		return result;
	sought.n = py.PyTuple_Size(tuple);
	return add_frozen(result, &sought);
}

static PyObject *find_referrers_fast(PyObject *self, PyObject *const *array, Py_ssize_t n)
{
	PyCFunctionFast real = (PyCFunctionFast)(void (*)(void))real_referrers;
	PyObject *result = real(self, array, n);
	struct sought sought = { .array = array, .n = n };

	return result && shows_frozen() ? add_frozen(result, &sought) : result;
}

static PyObject *call_real_objects(PyObject *self, PyObject *const *array, Py_ssize_t n,
				   PyObject *names)
{
	return ((PyCFunctionFastWithKeywords)(void (*)(void))real_objects)(self, array, n, names);
}

/* What was frozen would be in the oldest generation; None and -1 ask for all. */
static bool has_frozen(PyObject *generation)
{
	long number;

	if (!generation || generation == py._Py_NoneStruct)
		return true;
	number = py.PyLong_AsLong(generation);
	if (number == -1)
		py.PyErr_Clear(); /* of an object that is a number only the first time */
	return number == 2 || number == -1;
}

static PyObject *find_objects(PyObject *self, PyObject *const *array, Py_ssize_t n, PyObject *names)
{
	PyObject *result = call_real_objects(self, array, n, names);
	bool named = names && py.PyTuple_Size(names) > 0;

	/* The only argument has the same place with its name and without. */
	if (!result || !shows_frozen() || !has_frozen(n || named ? array[0] : NULL))
		return result;
	return add_frozen(result, NULL);
}

static bool intercept_objects(PyObject *gc)
{
	return module_replace_as(gc, "gc", "get_objects", METH_FASTCALL | METH_KEYWORDS,
				 (PyCFunction)(void (*)(void))find_objects, &real_objects);
}

static bool intercept_referrers(PyObject *gc)
{
	return module_replace_as(gc, "gc", "get_referrers", METH_VARARGS, find_referrers,
				 &real_referrers) ||
	       module_replace_as(gc, "gc", "get_referrers", METH_FASTCALL,
				 (PyCFunction)(void (*)(void))find_referrers_fast, &real_referrers);
}

void referrers_show(PyObject *gc)
{
	if (looked)
		return;
	looked = true;
	known = !recipe_no_marks(&python_version) && !layout_find(gc, &layout) &&
		intercept_referrers(gc) && intercept_objects(gc);
}

bool referrers_shown(void)
{
	return known;
}

const struct layout *referrers_layout(void)
{
	return known ? &layout : NULL;
}

int64_t referrers_count_unfrozen(PyObject *gc, int generation)
{
	PyObject *number = generation < 0 ? NULL : py.PyLong_FromLong(generation), *objects;
	int64_t count;

	if (real_objects)
		objects = call_real_objects(gc, &number, number ? 1 : 0, NULL);
	else if (!number)
		objects = py_call(gc, "get_objects", NULL);
	else if (python_version.minor >= 8) /* before, it has no argument */
		objects = py_call(gc, "get_objects", "O", number);
	else
		objects = NULL;
	count = objects ? py.PyList_Size(objects) : INT64_MAX;
	py_drop(objects);
	py_drop(number);
	return count;
}

void referrers_forget(void)
{
	looked = known = false;
}

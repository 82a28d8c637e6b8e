/* SPDX-License-Identifier: MIT */
#include "engine/collector.h"

#include <string.h>

#include "inject/module.h"
#include "inject/observer.h"

static int64_t as_number(PyObject *result)
{
	int64_t n = -1;

	if (result)
		n = result == py._Py_NoneStruct ? 0 : py.PyLong_AsLong(result);
	py_drop(result);
	return n;
}

int64_t collector_ask(PyObject *gc, const char *method)
{
	return as_number(py_call(gc, method, NULL));
}

bool collector_counts(PyObject *gc, int64_t counts[GCPRELOAD_GENERATIONS])
{
	PyObject *tuple = py_call(gc, "get_count", NULL);
	int n[GCPRELOAD_GENERATIONS], i;
	bool ok = tuple && py.PyArg_ParseTuple(tuple, "iii", &n[0], &n[1], &n[2]);

	py_drop(tuple);
	for (i = 0; ok && i < GCPRELOAD_GENERATIONS; i++)
		counts[i] = n[i];
	return ok;
}

int64_t collector_allocated(PyObject *gc)
{
	int64_t counts[GCPRELOAD_GENERATIONS];
	int32_t every[GCPRELOAD_GENERATIONS];

	if (!collector_counts(gc, counts) || !collector_thresholds(gc, every))
		return -1;
	return counts[0] + (counts[1] + counts[2] * (every[1] + 1ll)) * every[0];
}

int64_t collector_collect(PyObject *gc, int generation, enum gcpreload_cause cause)
{
	enum gcpreload_cause before = observer_cause(cause);
	int64_t n = as_number(py_call(gc, "collect", "i", generation));

	observer_cause(before);
	return n;
}

bool collector_thresholds(PyObject *gc, int32_t thresholds[GCPRELOAD_GENERATIONS])
{
	PyObject *tuple = py_call(gc, "get_threshold", NULL);
	bool ok = tuple &&
		  py.PyArg_ParseTuple(tuple, "iii", &thresholds[0], &thresholds[1], &thresholds[2]);

	py_drop(tuple);
	return ok;
}

bool collector_set_thresholds(PyObject *gc, const int32_t thresholds[GCPRELOAD_GENERATIONS])
{
	return as_number(py_call(gc, "set_threshold", "iii", thresholds[0], thresholds[1],
				 thresholds[2])) == 0;
}

/* What a signal's handler raised, and nobody has seen yet. */
static PyObject *raised[3];

static int raise_again(void *unused)
{
	(void)unused;
	py.PyErr_Restore(raised[0], raised[1], raised[2]);
	memset(raised, 0, sizeof raised);
	return -1;
}

/* An import runs Python code, and so may a signal's handler. Where a second import succeeds, it was
 * such a handler that ended the first: its exception is the program's, which gets it between two
 * bytecodes, where handlers run. */
static PyObject *import_atexit(void)
{
	PyObject *module = py.PyImport_ImportModule("atexit"), *exception[3];

	if (module)
		return module;
	py.PyErr_Fetch(&exception[0], &exception[1], &exception[2]);
	module = py.PyImport_ImportModule("atexit");
	if (module && !raised[0]) {
		memcpy(raised, exception, sizeof raised);
		memset(exception, 0, sizeof exception);
		if (py.Py_AddPendingCall(raise_again, NULL) < 0)
			memcpy(exception, raised, sizeof raised);
	}
	py.PyErr_Restore(exception[0], exception[1], exception[2]);
	py.PyErr_Clear();
	return module;
}

bool collector_at_exit(struct PyMethodDef *function)
{
	/* Before 3.10 the list belongs to the module object, and a later import would begin a new
	 * one: there it stays in sys.modules. */
	PyObject *atexit =
	    python_version.minor < 10 ? import_atexit() : module_import_quietly("atexit");
	PyObject *callable = NULL, *result = NULL;
	bool ok;

	if (atexit)
		callable = py.PyCFunction_NewEx(function, NULL, NULL);
	if (callable)
		result = py_call(atexit, "register", "O", callable);
	ok = result != NULL;
	py_drop(result);
	py_drop(callable);
	py_drop(atexit);
	return ok;
}

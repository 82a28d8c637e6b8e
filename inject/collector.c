/* SPDX-License-Identifier: MIT */
#include "inject/collector.h"

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
	return as_number(py.PyObject_CallMethod(gc, method, NULL));
}

int64_t collector_old_objects(PyObject *gc)
{
	PyObject *objects;
	int64_t n;

	if (python_version.minor < 8) /* has no argument */
		return INT64_MAX;
	objects = py.PyObject_CallMethod(gc, "get_objects", "i", 2);
	n = objects ? py.PyList_Size(objects) : INT64_MAX;
	py_drop(objects);
	return n;
}

int64_t collector_collect(PyObject *gc, int generation, enum gcpreload_cause cause)
{
	enum gcpreload_cause before = observer_cause(cause);
	int64_t n = as_number(py.PyObject_CallMethod(gc, "collect", "i", generation));

	observer_cause(before);
	return n;
}

bool collector_thresholds(PyObject *gc, int32_t thresholds[GCPRELOAD_GENERATIONS])
{
	PyObject *tuple = py.PyObject_CallMethod(gc, "get_threshold", NULL);
	bool ok = tuple &&
		  py.PyArg_ParseTuple(tuple, "iii", &thresholds[0], &thresholds[1], &thresholds[2]);

	py_drop(tuple);
	return ok;
}

bool collector_set_thresholds(PyObject *gc, const int32_t thresholds[GCPRELOAD_GENERATIONS])
{
	return as_number(py.PyObject_CallMethod(gc, "set_threshold", "iii", thresholds[0],
						thresholds[1], thresholds[2])) == 0;
}

bool collector_at_exit(struct PyMethodDef *function)
{
	/* Before 3.10 the list belongs to the module object, and a later import would begin a new
	 * one: there it stays in sys.modules. */
	PyObject *atexit = python_version.minor < 10 ? py.PyImport_ImportModule("atexit")
						     : module_import_quietly("atexit");
	PyObject *callable = NULL, *result = NULL;
	bool ok;

	if (atexit)
		callable = py.PyCFunction_NewEx(function, NULL, NULL);
	if (callable)
		result = py.PyObject_CallMethod(atexit, "register", "O", callable);
	ok = result != NULL;
	py_drop(result);
	py_drop(callable);
	py_drop(atexit);
	return ok;
}

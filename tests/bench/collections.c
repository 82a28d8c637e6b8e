/* SPDX-License-Identifier: MIT */
/* A Python module: the cheapest possible callback for gc.callbacks, made as the library's own
 * is, and a loop over a function that leaves Python's own cost out. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <time.h>

static PyObject *empty(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	(void)self;
	(void)args;
	(void)nargs;
	Py_RETURN_NONE;
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return 1e9 * (double)ts.tv_sec + (double)ts.tv_nsec;
}

/* measure(function, argument, n): nanoseconds per function(argument). */
static PyObject *measure(PyObject *self, PyObject *args)
{
	PyObject *function, *argument, *result;
	double begin;
	long n, i;

	(void)self;
	if (!PyArg_ParseTuple(args, "OOl", &function, &argument, &n))
		return NULL;
	begin = now_ns();
	for (i = 0; i < n; i++) {
		result = PyObject_CallFunctionObjArgs(function, argument, NULL);
		if (!result)
			return NULL;
		Py_DECREF(result);
	}
	return PyFloat_FromDouble((now_ns() - begin) / (double)n);
}

/* clock(n): nanoseconds per clock_gettime. */
static PyObject *read_clock(PyObject *self, PyObject *argument)
{
	long n = PyLong_AsLong(argument), i;
	double begin = now_ns();

	(void)self;
	for (i = 0; i < n; i++)
		now_ns();
	return PyFloat_FromDouble((now_ns() - begin) / (double)n);
}

static PyMethodDef methods[] = {
	{ "empty", (PyCFunction)(void (*)(void))empty, METH_FASTCALL, NULL },
	{ "clock", read_clock, METH_O, NULL },
	{ "measure", measure, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT, "collections_bench", NULL, -1, methods, NULL, NULL, NULL, NULL
};

PyMODINIT_FUNC PyInit_collections_bench(void);

PyMODINIT_FUNC PyInit_collections_bench(void)
{
	return PyModule_Create(&module);
}

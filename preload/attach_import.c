/* SPDX-License-Identifier: MIT */
/*
 * How `gcpreload attach` calls us: as the import of an extension module (_imp.create_dynamic),
 * which holds the GIL, needs no ctypes, and leaves nothing behind where the entry returns no
 * module. Its words are in the globals of the Python code that imports: settings, a text, or None
 * to detach; and result, a list that gets the answer.
 */
#include <errno.h>
#include <stddef.h>

#include "inject/pyapi.h"
#include "preload/attach.h"
#include "preload/late.h"

static long import_answer(PyObject *globals)
{
	PyObject *settings = py.PyDict_GetItemString(globals, "settings");
	const char *text;

	if (!settings)
		return -EINVAL;
	if (settings == py._Py_NoneStruct)
		return gcpreload_detach();
	text = py.PyUnicode_AsUTF8AndSize(settings, NULL);
	if (!text) {
		py.PyErr_Clear();
		return -EINVAL;
	}
	return gcpreload_attach(text);
}

__attribute__((visibility("default"))) PyObject *PyInit_gcpreload_attach(void)
{
	PyObject *globals, *result, *number;
	void *handle;

	if (!late_find_python(&handle) || pyapi_fill(handle) < 0)
		return NULL;
	globals = py.PyEval_GetGlobals();
	result = globals ? py.PyDict_GetItemString(globals, "result") : NULL;
	if (!result)
		return NULL;
	number = py.PyLong_FromLong(import_answer(globals));
	if (!number || py.PyList_Append(result, number) < 0)
		py.PyErr_Clear();
	py_drop(number);
	return NULL;
}

/* SPDX-License-Identifier: MIT */
#include "inject/defer.h"

#include <stddef.h>

#include "inject/module.h"

/* object.method(argument) with an optional argument; new reference, or NULL and no exception. */
static PyObject *call_method(PyObject *object, const char *method, PyObject *argument)
{
	PyObject *result =
	    argument ? py_call(object, method, "O", argument) : py_call(object, method, NULL);

	py.PyErr_Clear();
	return result;
}

static bool in_gevent_hub(void)
{
	PyObject *hub_module = module_loaded("gevent.hub"), *hub_class, *current;
	bool yes = false;

	if (!hub_module)
		return false;
	hub_class = py_attribute(hub_module, "Hub");
	current = hub_class ? call_method(hub_module, "getcurrent", NULL) : NULL;
	if (current)
		yes = py.PyObject_IsInstance(current, hub_class) == 1;
	py_drop(current);
	py_drop(hub_class);
	return yes;
}

static bool to_greenlet(PyObject *callable)
{
	PyObject *gevent = module_loaded("gevent"), *greenlet = NULL;

	if (gevent && in_gevent_hub())
		greenlet = call_method(gevent, "spawn_raw", callable);
	py_drop(greenlet);
	return greenlet != NULL;
}

/* uvloop's loop, if this thread is running one; new reference or NULL. */
static PyObject *running_uvloop(void)
{
	PyObject *uvloop = module_loaded("uvloop"), *events = module_loaded("asyncio.events");
	PyObject *loop_class, *loop;

	if (!uvloop || !events)
		return NULL;
	loop_class = py_attribute(uvloop, "Loop");
	loop = loop_class ? call_method(events, "_get_running_loop", NULL) : NULL;
	if (loop && py.PyObject_IsInstance(loop, loop_class) != 1) {
		py.Py_DecRef(loop);
		loop = NULL;
	}
	py_drop(loop_class);
	return loop;
}

static bool to_uvloop(PyObject *callable)
{
	PyObject *loop = running_uvloop(), *handle = NULL;

	if (loop)
		handle = call_method(loop, "call_soon_threadsafe", callable);
	py_drop(loop);
	py_drop(handle);
	return handle != NULL;
}

enum defer defer_to_loop(struct PyMethodDef *function)
{
	PyObject *callable = py.PyCFunction_NewEx(function, NULL, NULL);
	enum defer defer = DEFER_NOT;

	if (callable && to_greenlet(callable))
		defer = DEFER_TO_GREENLET;
	else if (callable && to_uvloop(callable))
		defer = DEFER_TO_UVLOOP;
	py_drop(callable);
	return defer;
}

/* SPDX-License-Identifier: MIT */
#include "engine/entrance.h"

#include "engine/begin.h"
#include "engine/process.h"
#include "engine/startup.h"
#include "inject/module.h"

bool entrance_open(struct gil_guard *guard, PyObject **gc)
{
	if (!settings || !gil_enter(guard))
		return false;
	if (!py_in_main_interpreter()) {
		gil_leave(guard);
		return false;
	}
	begin_if_new();
	*gc = module_gc();
	if (*gc) {
		startup_end(*gc); /* whoever acts has found that the start is over */
		return true;
	}
	py.PyErr_Clear();
	gil_leave(guard);
	return false;
}

void entrance_close(struct gil_guard *guard, PyObject *gc)
{
	py_drop(gc);
	gil_leave(guard);
}

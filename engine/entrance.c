/* SPDX-License-Identifier: MIT */
#include "engine/entrance.h"

#include "engine/begin.h"
#include "engine/process.h"
#include "engine/startup.h"
#include "inject/module.h"

/* In a forked child those of its parent's other threads stay open: it is no worse for that. */
static unsigned open_now;

bool entrance_is_open(void)
{
	return open_now > 0;
}

void entrance_note(bool begins)
{
	open_now += begins ? 1 : -1u;
}

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
		entrance_note(true);
		return true;
	}
	py.PyErr_Clear();
	gil_leave(guard);
	return false;
}

void entrance_close(struct gil_guard *guard, PyObject *gc)
{
	entrance_note(false);
	py_drop(gc);
	gil_leave(guard);
}

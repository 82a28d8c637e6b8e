/* SPDX-License-Identifier: MIT */
#include "inject/gil.h"

#include <errno.h>

#include "base/shared.h"
#include "inject/inject.h"

/* Which thread state is the current one, and is it this thread's? From 3.12 on the interpreter
 * keeps it for each thread (Python/pystate.c, _Py_tss_tstate): there is one, or the GIL is not
 * held. Before, there is one for the process, of whichever thread has the GIL. That may be this
 * thread under another state than the one PyGILState knows, which is how code of a sub-interpreter
 * runs, and PyGILState_Ensure would wait for this thread itself. */
enum gcpreload_gil gcpreload_inject_gil(void)
{
	PyObject *own, *current;
	int (*initialized)(void) = load_acquire(&py.Py_IsInitialized);

	if (!initialized || !initialized() || py.Py_IsFinalizing())
		return GCPRELOAD_GIL_FOREIGN;
	own = py.PyGILState_GetThisThreadState();
	current = py.PyThreadState_GetUnchecked();
	if (current && (current == own || python_version.minor >= 12))
		return GCPRELOAD_GIL_HELD;
	if (!own)
		return GCPRELOAD_GIL_FOREIGN;
	if (current && py_has_subinterpreters())
		return GCPRELOAD_GIL_UNKNOWN;
	return GCPRELOAD_GIL_RELEASED;
}

bool gil_is_free(void)
{
	return gcpreload_inject_gil() == GCPRELOAD_GIL_RELEASED && !py.PyThreadState_GetUnchecked();
}

const void *gcpreload_inject_code(void)
{
	return (const void *)py.PyGILState_Ensure;
}

void gil_keep(struct gil_guard *guard)
{
	guard->saved_errno = errno;
	guard->taken = false;
	py.PyErr_Fetch(&guard->exception[0], &guard->exception[1], &guard->exception[2]);
}

bool gil_enter(struct gil_guard *guard)
{
	int saved_errno = errno, gilstate = 0;
	enum gcpreload_gil gil = gcpreload_inject_gil();

	if (gil != GCPRELOAD_GIL_HELD && gil != GCPRELOAD_GIL_RELEASED)
		return false;
	if (gil == GCPRELOAD_GIL_RELEASED)
		gilstate = py.PyGILState_Ensure();
	gil_keep(guard);
	guard->saved_errno = saved_errno;
	guard->gilstate = gilstate;
	guard->taken = gil == GCPRELOAD_GIL_RELEASED;
	return true;
}

void gil_leave(struct gil_guard *guard)
{
	py.PyErr_Restore(guard->exception[0], guard->exception[1], guard->exception[2]);
	if (guard->taken)
		py.PyGILState_Release(guard->gilstate);
	errno = guard->saved_errno;
}

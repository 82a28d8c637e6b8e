/* SPDX-License-Identifier: MIT */
#include "inject/gil.h"

#include <errno.h>

#include "inject/inject.h"

static __thread bool held __attribute__((tls_model("initial-exec")));

bool gil_is_held(void)
{
	bool before = held;

	held = true;
	return before;
}

void gil_was_held(bool before)
{
	held = before;
}

enum gcpreload_gil gcpreload_inject_gil(void)
{
	PyObject *own;

	if (!py.Py_IsInitialized || !py.Py_IsInitialized() || py.Py_IsFinalizing())
		return GCPRELOAD_GIL_FOREIGN;
	if (held)
		return GCPRELOAD_GIL_HELD;
	own = py.PyGILState_GetThisThreadState();
	if (!own)
		return GCPRELOAD_GIL_FOREIGN;
	return own == py.PyThreadState_GetUnchecked() ? GCPRELOAD_GIL_HELD : GCPRELOAD_GIL_RELEASED;
}

void gil_keep(struct gil_guard *guard)
{
	guard->saved_errno = errno;
	guard->taken = false;
	guard->held_before = held;
	py.PyErr_Fetch(&guard->exception[0], &guard->exception[1], &guard->exception[2]);
}

bool gil_enter(struct gil_guard *guard)
{
	int saved_errno = errno, gilstate = 0;
	enum gcpreload_gil gil = gcpreload_inject_gil();

	if (gil == GCPRELOAD_GIL_FOREIGN)
		return false;
	if (gil == GCPRELOAD_GIL_RELEASED)
		gilstate = py.PyGILState_Ensure();
	gil_keep(guard);
	guard->saved_errno = saved_errno;
	guard->gilstate = gilstate;
	guard->taken = gil == GCPRELOAD_GIL_RELEASED;
	/* A finalizer that this action runs may release the GIL, and wait. */
	held = false;
	return true;
}

void gil_leave(struct gil_guard *guard)
{
	py.PyErr_Restore(guard->exception[0], guard->exception[1], guard->exception[2]);
	if (guard->taken)
		py.PyGILState_Release(guard->gilstate);
	held = guard->held_before;
	errno = guard->saved_errno;
}

/* SPDX-License-Identifier: MIT */
/* Entering Python from a libc call, and leaving no trace of it. */
#ifndef GCPRELOAD_INJECT_GIL_H
#define GCPRELOAD_INJECT_GIL_H

#include <stdbool.h>

#include "inject/pyapi.h"

/* The state to put back. */
struct gil_guard {
	int saved_errno;
	int gilstate;
	bool taken;
	PyObject *exception[3];
};

/* Makes the GIL this thread's, taking it where it is known not to be held. Returns false, and
 * changes nothing, in a thread that must not act. Puts a pending exception aside. */
bool gil_enter(struct gil_guard *guard);

/* Puts exception, GIL and errno back. */
void gil_leave(struct gil_guard *guard);

/* Whether no thread at all has the GIL of this thread's interpreter, as far as one look can say. */
bool gil_is_free(void);

/* The same inside Python code of ours that holds the GIL already: errno and exception only. */
void gil_keep(struct gil_guard *guard);

#endif

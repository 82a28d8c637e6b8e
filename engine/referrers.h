/* SPDX-License-Identifier: MIT */
/*
 * gc.get_referrers() does not look at the permanent generation. The application has not frozen
 * anything, so it is to find what we froze, too: greenlet takes an object that nobody seems to
 * refer to for one that is left over, and drops a reference to it that is not its own.
 */
#ifndef GCPRELOAD_ENGINE_REFERRERS_H
#define GCPRELOAD_ENGINE_REFERRERS_H

#include "inject/pyapi.h"

/* From now on what is frozen is found, where it is known how objects lie in memory. To be called
 * right after everything was frozen: the first time it freezes everything again. Once is enough for
 * a runtime and the children that it forks; gc is the gc module. GIL held, main interpreter. */
void referrers_show(PyObject *gc);

/* A new runtime begins in this process: its lists are elsewhere. */
void referrers_forget(void);

#endif

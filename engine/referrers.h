/* SPDX-License-Identifier: MIT */
/*
 * gc.get_referrers() and gc.get_objects() do not look at the permanent generation. The application
 * has not frozen anything, so it is to find what we froze, too: greenlet takes an object that
 * nobody seems to refer to for one that is left over, and drops a reference to it that is not its
 * own; eventlet replaces the locks that it finds.
 */
#ifndef GCPRELOAD_ENGINE_REFERRERS_H
#define GCPRELOAD_ENGINE_REFERRERS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/layout.h"
#include "inject/pyapi.h"

/* From now on what is frozen is found, where it is known how objects lie in memory. To be called
 * right after everything was frozen: the first time it freezes everything again. Once is enough for
 * a runtime and the children that it forks; gc is the gc module. GIL held, main interpreter. */
void referrers_show(PyObject *gc);

/* Whether they do, as far as the application has not frozen anything itself. */
bool referrers_shown(void);

/* How objects lie in memory, and where the list of the frozen ones is; NULL: not known. */
const struct layout *referrers_layout(void);

/* len(gc.get_objects(generation)), or of all with a negative one, without what is frozen: that is
 * neither looked at nor written to. INT64_MAX where it cannot be told. Makes a list of them: some
 * ns for each. */
int64_t referrers_count_unfrozen(PyObject *gc, int generation);

/* A new runtime begins in this process: its lists are elsewhere. */
void referrers_forget(void);

#endif

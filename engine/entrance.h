/* SPDX-License-Identifier: MIT */
/* Every action begins and ends here. */
#ifndef GCPRELOAD_ENGINE_ENTRANCE_H
#define GCPRELOAD_ENGINE_ENTRANCE_H

#include <stdbool.h>

#include "inject/gil.h"
#include "inject/pyapi.h"

/* Opens an action: GIL, state of this process, gc module; false with everything put back. */
bool entrance_open(struct gil_guard *guard, PyObject **gc);
void entrance_close(struct gil_guard *guard, PyObject *gc);

/* Whether one is open, of this thread or of another, which waits for the GIL. A finalizer may have
 * anything called. GIL held. */
bool entrance_is_open(void);

/* For an action that comes in by another way. */
void entrance_note(bool begins);

#endif

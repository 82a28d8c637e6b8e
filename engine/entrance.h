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

#endif

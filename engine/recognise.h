/* SPDX-License-Identifier: MIT */
/* Which collector the interpreter runs, by what its gc module shows. */
#ifndef GCPRELOAD_ENGINE_RECOGNISE_H
#define GCPRELOAD_ENGINE_RECOGNISE_H

#include <stdbool.h>

#include "inject/pyapi.h"

/* Where the interpreter starts: notes its own thresholds, and its collector in python_version.
 * Returns false where it cannot be asked. */
bool recognise_collector(PyObject *gc);

#endif

/* SPDX-License-Identifier: MIT */
/* What a wait of the server's comes back with after a collection in it. GIL held. */
#ifndef GCPRELOAD_INJECT_WAITING_H
#define GCPRELOAD_INJECT_WAITING_H

#include <stdbool.h>

#include "inject/inject.h"
#include "inject/pyapi.h"

/* A collection is about to be made by this thread. If that is in a wait: finds out what the wait
 * may come back with, and keeps signals off until it has ended where they would be lost. */
void waiting_collects(PyObject *gc);

/* Gives it to the event loop that waits, if that is one which must make it itself. Whether it has.
 */
bool waiting_defers(struct PyMethodDef *function);

#endif

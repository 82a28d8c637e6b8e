/* SPDX-License-Identifier: MIT */
/*
 * Some event loops cannot be worked for from inside their wait: in gevent's Hub a finalizer may
 * not switch to another greenlet, and libuv goes on to block whatever a finalizer has given its
 * loop to do. There the work becomes one of the loop's own tasks.
 */
#ifndef GCPRELOAD_INJECT_DEFER_H
#define GCPRELOAD_INJECT_DEFER_H

#include <stdbool.h>

#include "inject/pyapi.h"

/* True: the calling thread runs such a loop, and it will call function (no arguments) at its
 * next turn, which begins at once if the caller's wait is short or, with libuv, any. False: the
 * caller does it itself. GIL held, no exception left. */
bool defer_to_loop(struct PyMethodDef *function);

#endif

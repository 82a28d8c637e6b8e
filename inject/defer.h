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

enum defer {
	DEFER_NOT,	   /* the calling thread runs no such loop: the caller does it itself */
	DEFER_TO_GREENLET, /* at the loop's next turn, which begins when the wait comes back */
	DEFER_TO_UVLOOP,   /* the same, and the wait is woken */
};

/* Has the loop that the calling thread runs call function (no arguments). GIL held, no exception
 * left. */
enum defer defer_to_loop(struct PyMethodDef *function);

#endif

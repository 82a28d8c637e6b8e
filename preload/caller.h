/* SPDX-License-Identifier: MIT */
/*
 * Whose code calls an interposed function: the object that a return address lies in. Taking the
 * GIL, and what a wait may come back with, is right in some callers and harm in others.
 */
#ifndef GCPRELOAD_PRELOAD_CALLER_H
#define GCPRELOAD_PRELOAD_CALLER_H

#include <stdbool.h>
#include <stdint.h>

enum caller_kind {
	/* Any other library: a driver may wait under a mutex of its own, which a thread with the
	 * GIL may want. Nothing is done in its waits. */
	CALLER_LIBRARY,
	/* The interpreter's own modules, select and _socket: without the GIL and any lock, and an
	 * interrupted call is made again for the time that is left (PEP 475). */
	CALLER_INTERPRETER,
	/* An event loop that runs callbacks between its waits: libev's or libuv's, also within
	 * gevent and uvloop. */
	CALLER_LOOP,
	/* The program itself, where it is not the interpreter, what it serves by (uWSGI), and
	 * libraries that stand in front of us: nothing is known of what they take. */
	CALLER_HOST,
};

struct caller {
	enum caller_kind kind;
	uintptr_t low, high; /* the segment with the code */
};

/* This process was forked. alone: by one that had a single thread. Another thread may have held the
 * dynamic loader's lock, and in the child nobody gives it back: it is not taken there. */
void caller_forked(bool alone);

/* Which code address lies in. Some microseconds, and the dynamic loader's lock for reading: for
 * moments that come once a loop. Any thread; keeps errno. */
struct caller caller_at(const void *address);

static inline bool caller_is_at(const struct caller *caller, const void *address)
{
	return (uintptr_t)address >= caller->low && (uintptr_t)address < caller->high;
}

/* Whether a call from address is one of the same code's: of the same object, or of the interpreter,
 * whose modules may be objects of their own: the one that called last is the one that is noted. */
bool caller_is_same(struct caller *caller, const void *address);

#endif

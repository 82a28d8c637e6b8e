/* SPDX-License-Identifier: MIT */
/*
 * Which blocks of memory were given back to the allocator of objects since a mark began: the marker
 * saw the memory of that moment, and what it found to be garbage may be in use again, because a
 * weak reference was called, and be gone or something else by now. A wrapper around the domain
 * PYMEM_DOMAIN_OBJ notes each block in a bit table, one bit for 16 bytes of address. GIL held.
 *
 * Other tools put wrappers there, too, and restore what they found (tracemalloc): ours may vanish,
 * or stay below theirs for good. freed_is_sure() says whether it has seen everything.
 */
#ifndef GCPRELOAD_ENGINE_FREED_H
#define GCPRELOAD_ENGINE_FREED_H

#include <stdbool.h>
#include <stdint.h>

/* Not where other tools have put too many allocators of their own there, until one goes. */
bool freed_can_begin(void);

/* Whether it must see for itself that another interpreter begins, since nobody calls freed_stop()
 * then. */
void freed_watch(bool yes);

/* From now on. resident: bytes of this process, from which the table's size follows; pages of it
 * are there only where something was freed. Returns 0, -ENOMEM, -EBUSY (too many wrappers of other
 * tools), or -ENOSYS where the wrapper does not see what is freed. */
int freed_begin(uint64_t resident);

/* Whether everything was seen since. */
bool freed_is_sure(void);

/* Whether the block that begins there was given back since. */
bool freed_contains(uintptr_t block);

/* No longer. The interpreter's own allocator, where it is not below another's wrapper. */
void freed_end(void);

/* The same, but the wrapper and its table stay: where interpreters may have a GIL each, another
 * thread may be in it. Any thread. */
void freed_stop(void);

/* A new runtime, or a forked child: what was noted is not of this process. */
void freed_forget(void);

#endif

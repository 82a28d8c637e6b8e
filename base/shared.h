/* SPDX-License-Identifier: MIT */
/*
 * Every word that several threads or processes share is read and written by these, and by nothing
 * else: relaxed, acquire, release and both, by name.
 *
 * A slot of the ring is published as: invalidate, payload, release. A reader in another process
 * copies with pread(2) and asks for the sequence number before and after.
 */
#ifndef GCPRELOAD_BASE_SHARED_H
#define GCPRELOAD_BASE_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#define load_relaxed(p)	       __atomic_load_n((p), __ATOMIC_RELAXED)
#define load_acquire(p)	       __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_relaxed(p, v)    __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define store_release(p, v)    __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define add_relaxed(p, v)      __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define or_relaxed(p, v)       __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define exchange_relaxed(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)
#define exchange_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define fence_acquire()	       __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define fence_release()	       __atomic_thread_fence(__ATOMIC_RELEASE)

/* Whether *p was *seen, and is v now; else *seen is what it was. */
#define swap_relaxed(p, seen, v)                                                                   \
	__atomic_compare_exchange_n((p), (seen), (v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define swap_acq_rel(p, seen, v)                                                                   \
	__atomic_compare_exchange_n((p), (seen), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

#endif

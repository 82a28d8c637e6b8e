/* SPDX-License-Identifier: MIT */
/*
 * All memory ordering of the ring, named by meaning.
 *
 * A slot is published as: invalidate, payload, publish. A reader in another process copies with
 * pread(2) and asks for the sequence number before and after.
 */
#ifndef GCPRELOAD_RING_BARRIER_H
#define GCPRELOAD_RING_BARRIER_H

#include <stdint.h>

#define ring_load(p)	     __atomic_load_n((p), __ATOMIC_RELAXED)
#define ring_store(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ring_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ring_publish(p, v)   __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define ring_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)
#define ring_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define ring_fetch_add(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define ring_exchange(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)

#endif

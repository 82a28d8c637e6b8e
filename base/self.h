/* SPDX-License-Identifier: MIT */
/*
 * "Is this still the process that set me up?" One private page that the kernel wipes in every
 * forked child (MADV_WIPEONFORK, Linux 4.14), raw clone and _Fork included, where atfork
 * handlers do not run. Each part of the library owns one word: 0 means "I am in a new process
 * and must begin again". Reading it costs one load.
 */
#ifndef GCPRELOAD_BASE_SELF_H
#define GCPRELOAD_BASE_SELF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/shared.h"

struct gcpreload_self_words {
	uint32_t ring;	  /* ring/writer: my counters belong to this process */
	uint32_t inject;  /* inject/: my state belongs to this process */
	uint32_t preload; /* preload/: my state belongs to this process */
	uint32_t settled; /* preload/: how closely to look, 0: at everything */

	/* Connections that this process accepted. On a line of its own: the words above are read
	 * by each wait. */
	uint64_t accepted __attribute__((aligned(64)));
};

extern struct gcpreload_self_words *gcpreload_self_page;

/* Who sees the page sees all that was written before it was made known. */
static inline struct gcpreload_self_words *gcpreload_self_here(void)
{
	return load_acquire(&gcpreload_self_page);
}

/* Never NULL. Before gcpreload_self_init, and in a process without Python, it is a page on which
 * everything is set: nothing is ever looked for. */
#define gcpreload_self gcpreload_self_here()

/* Where the kernel cannot wipe (before 4.14, in some sandboxes and emulators), a handler of
 * pthread_atfork does it in the children of fork(). For those of raw clone and _Fork, whoever is
 * about to write into memory that a child does not have asks this first: it compares the pid, by a
 * system call, and wipes. Not asked by what runs before waits: a child of vfork() shares the page.
 */
extern bool gcpreload_self_unwiped;
void gcpreload_self_compare(void);

static inline void gcpreload_self_check(void)
{
	if (__builtin_expect(load_relaxed(&gcpreload_self_unwiped), 0))
		gcpreload_self_compare();
}

/* Maps the page and makes it known: the words of the ring and of inject/ 0, those of preload/ set,
 * so that other threads look for nothing until preload/ begins. Called once; comes last of
 * what these threads must find done. Returns 0 or -errno. */
int gcpreload_self_init(void);

/* Back to the page before: this process has nothing to look for after all. */
void gcpreload_self_drop(void);

#endif

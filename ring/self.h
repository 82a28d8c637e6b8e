/* SPDX-License-Identifier: MIT */
/*
 * "Is this still the process that set me up?" One private page that the kernel wipes in every
 * forked child (MADV_WIPEONFORK, Linux 4.14), raw clone and _Fork included, where atfork
 * handlers do not run. Each part of the library owns one word: 0 means "I am in a new process
 * and must begin again". Reading it costs one load.
 */
#ifndef GCPRELOAD_RING_SELF_H
#define GCPRELOAD_RING_SELF_H

#include <stdint.h>

struct gcpreload_self {
	uint32_t ring;	  /* ring/writer: my counters belong to this process */
	uint32_t inject;  /* inject/: my state belongs to this process */
	uint32_t preload; /* preload/: my state belongs to this process */
	uint32_t settled; /* preload/: how closely to look, 0: at everything */
};

/* Never NULL. Before gcpreload_self_init, and in a process without Python, it points to a page
 * on which everything is set: nothing is ever looked for. */
extern struct gcpreload_self *gcpreload_self;

/* Maps the page, all words 0. Called once, before threads. Returns 0 or -errno; falls back to
 * pthread_atfork where the kernel cannot wipe. */
int gcpreload_self_init(void);

/* Back to the page before: this process has nothing to look for after all. */
void gcpreload_self_drop(void);

#endif

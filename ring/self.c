/* SPDX-License-Identifier: MIT */
#include "ring/self.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#define PAGE 4096

static struct gcpreload_self nothing_to_do = { .ring = 1, .inject = 1, .preload = 1, .settled = 1 };

struct gcpreload_self *gcpreload_self = &nothing_to_do;

static void wipe_in_child(void)
{
	memset(gcpreload_self, 0, sizeof *gcpreload_self);
}

int gcpreload_self_init(void)
{
	void *page;

	if (gcpreload_self != &nothing_to_do)
		return 0;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	gcpreload_self = page;
	if (madvise(page, PAGE, MADV_WIPEONFORK) < 0)
		return -pthread_atfork(NULL, NULL, wipe_in_child);
	return 0;
}

void gcpreload_self_drop(void)
{
	struct gcpreload_self *page = gcpreload_self;

	if (page == &nothing_to_do)
		return;
	gcpreload_self = &nothing_to_do;
	munmap(page, PAGE);
}

/* SPDX-License-Identifier: MIT */
#include "base/self.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/shared.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

#define PAGE 4096

#define NO_ADVICE (-1) /* that any kernel knows */

/* Under pthread_atfork(), which glibc links into each library. Weak: musl does not have it, and its
 * programs would end where they begin. */
extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *)
    __attribute__((weak));
extern void *__dso_handle __attribute__((visibility("hidden")));

static struct gcpreload_self_words nothing_to_do = {
	.ring = 1, .inject = 1, .preload = 1, .settled = 1
};

struct gcpreload_self_words *gcpreload_self_page = &nothing_to_do;

bool gcpreload_self_unwiped;
/* Written by the thread that makes the page or finds it of another process; read by any. */
static long owner;

static void self_wipe(void)
{
	struct gcpreload_self_words *page = gcpreload_self;

	if (page == &nothing_to_do)
		return;
	store_relaxed(&page->ring, 0);
	store_relaxed(&page->inject, 0);
	store_relaxed(&page->preload, 0);
	store_relaxed(&page->settled, 0);
	store_relaxed(&page->accepted, 0);
	store_relaxed(&owner, syscall(SYS_getpid));
}

void gcpreload_self_compare(void)
{
	if (load_relaxed(&owner) != syscall(SYS_getpid))
		self_wipe();
}

static void self_wipe_ourselves(void)
{
	store_relaxed(&owner, syscall(SYS_getpid));
	store_relaxed(&gcpreload_self_unwiped, true);
	if (__register_atfork)
		__register_atfork(NULL, NULL, self_wipe, __dso_handle);
}

/* An emulator of another processor (qemu-user) says yes to any advice, and lets it be. */
static bool self_kernel_wipes(void *page)
{
	int saved_errno = errno;
	bool yes = madvise(page, PAGE, MADV_WIPEONFORK) == 0 && madvise(page, PAGE, NO_ADVICE) < 0;

	errno = saved_errno;
	return yes;
}

/* Of a process that had something to look for before. */
static struct gcpreload_self_words *kept_page;

static int self_use_again(void)
{
	store_relaxed(&kept_page->ring, 0);
	store_relaxed(&kept_page->inject, 0);
	store_relaxed(&kept_page->preload, 1);
	store_relaxed(&kept_page->settled, 1);
	store_relaxed(&kept_page->accepted, 0);
	store_relaxed(&owner, syscall(SYS_getpid));
	store_release(&gcpreload_self_page, kept_page);
	return 0;
}

int gcpreload_self_init(void)
{
	struct gcpreload_self_words *page;

	if (gcpreload_self != &nothing_to_do)
		return 0;
	if (kept_page)
		return self_use_again();
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -errno;
	if (!self_kernel_wipes(page))
		self_wipe_ourselves();
	page->preload = page->settled = 1;
	kept_page = page;
	store_release(&gcpreload_self_page, page);
	return 0;
}

/* The page stays mapped: another thread may have it before its eyes. */
void gcpreload_self_drop(void)
{
	store_release(&gcpreload_self_page, &nothing_to_do);
}

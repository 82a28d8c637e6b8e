/* SPDX-License-Identifier: MIT */
#include "preload/late.h"

#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/dl.h"
#include "base/shared.h"
#include "inject/inject.h"
#include "preload/configure.h"
#include "preload/entry.h"
#include "preload/look.h"

#define TRIES	 60
#define EVERY_NS 1000000000ull

/* Written and read by any thread. */
static unsigned tries;
static uint64_t tried_ns;
static bool attached, begun;
/* In a child of a process with threads the lock of dl_iterate_phdr() may be held for ever. */
static bool forked;

/* ------------------------------------------------------------------ where libpython is */

static bool late_is_libpython(const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	return strncmp(base, "libpython", 9) == 0 && strncmp(base, "libpython3.so", 13) != 0;
}

static int late_sees_libpython(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	return late_is_libpython(info->dlpi_name);
}

struct search {
	char path[4096];
};

static int late_notes_libpython(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;

	(void)size;
	if (!late_is_libpython(info->dlpi_name))
		return 0;
	snprintf(search->path, sizeof search->path, "%s", info->dlpi_name);
	return 1;
}

void *late_libpython(void)
{
	struct search search;

	if (!dl_iterate_phdr(late_notes_libpython, &search))
		return NULL;
	return dlopen(search.path, RTLD_LAZY | RTLD_NOLOAD);
}

bool late_find_python(void **handle)
{
	*handle = RTLD_DEFAULT;
	if (!dl_is_here())
		return false;
	if (dlsym(*handle, "Py_IsInitialized"))
		return true;
	dlerror();
	*handle = late_libpython();
	return *handle != NULL;
}

/* ------------------------------------------------------------------ at listen() and at waits */

void late_forked(void)
{
	store_relaxed(&forked, true);
}

/* Most servers are not Python, and a thread, a signal handler or a sandbox of theirs may be what
 * calls: nothing is read, and no system call is made, where no interpreter is loaded. */
void late_start(void)
{
	if (load_acquire(&gcpreload_self->settled) != LOOK_NEVER || load_acquire(&begun) ||
	    load_acquire(&forked) || !configure_possible() || !dl_is_here() ||
	    !dl_iterate_phdr(late_sees_libpython, NULL) || !configure_late())
		return;
	if (!exchange_acq_rel(&begun, true))
		entry_start();
}

void late_attached(void)
{
	store_release(&attached, true);
	configure_complain();
	if (!exchange_acq_rel(&begun, true) || load_acquire(&gcpreload_self->settled) == LOOK_NEVER)
		entry_start();
}

bool late_given_up(void)
{
	return !load_acquire(&attached) && load_acquire(&tries) >= TRIES &&
	       !configure_with_python();
}

bool late_attach(void)
{
	uint64_t now = look_coarse_now(), last = load_acquire(&tried_ns);
	void *handle;

	if (load_acquire(&attached) || configure_with_python() || load_acquire(&tries) >= TRIES ||
	    gcpreload_elapsed(last, now) < EVERY_NS || !swap_acq_rel(&tried_ns, &last, now))
		return load_acquire(&attached);
	add_relaxed(&tries, 1);
	handle = late_libpython();
	if (!handle || !gcpreload_inject_late(handle))
		return load_acquire(&attached);
	store_release(&attached, true);
	configure_complain();
	return true;
}

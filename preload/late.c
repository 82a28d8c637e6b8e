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
#include "preload/next.h"
#include "preload/ready.h"
#include "preload/start.h"

#define EXPORT	 __attribute__((visibility("default")))
#define TRIES	 60
#define EVERY_NS 1000000000ull

static unsigned tries;
static uint64_t tried_ns;
static bool attached, begun;

/* ------------------------------------------------------------------ where libpython is */

static bool is_libpython(const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	return strncmp(base, "libpython", 9) == 0 && strncmp(base, "libpython3.so", 13) != 0;
}

static int look(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	return is_libpython(info->dlpi_name);
}

struct search {
	char path[4096];
};

static int note(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;

	(void)size;
	if (!is_libpython(info->dlpi_name))
		return 0;
	snprintf(search->path, sizeof search->path, "%s", info->dlpi_name);
	return 1;
}

/* A handle of the loaded libpython, or NULL. It counts as a use of it: an interpreter is not
 * made to be unloaded, and what the observer put into it needs it there. */
static void *loaded_libpython(void)
{
	struct search search;

	if (!dl_iterate_phdr(note, &search))
		return NULL;
	return dlopen(search.path, RTLD_LAZY | RTLD_NOLOAD);
}

/* ------------------------------------------------------------------ at listen() and at waits */

/* Most servers are not Python, and a thread, a signal handler or a sandbox of theirs may be what
 * calls: nothing is read, and no system call is made, where no interpreter is loaded. */
/* In a child of a process with threads the lock of dl_iterate_phdr() may be held for ever. */
static bool forked;

void late_forked(void)
{
	store_relaxed(&forked, true);
}

void late_start(void)
{
	if (load_acquire(&gcpreload_self->settled) != READY_NEVER || load_acquire(&begun) ||
	    load_acquire(&forked) || !start_possible() || !dl_is_here() ||
	    !dl_iterate_phdr(look, NULL) || !start_late())
		return;
	if (!exchange_acq_rel(&begun, true))
		ready_start();
}

bool late_given_up(void)
{
	return !load_acquire(&attached) && load_acquire(&tries) >= TRIES && !start_python_found();
}

bool late_attach(void)
{
	uint64_t now = ready_coarse_now(), last = load_acquire(&tried_ns);
	void *handle;

	if (load_acquire(&attached) || start_python_found() || load_acquire(&tries) >= TRIES ||
	    gcpreload_elapsed(last, now) < EVERY_NS || !swap_acq_rel(&tried_ns, &last, now))
		return load_acquire(&attached);
	add_relaxed(&tries, 1);
	handle = loaded_libpython();
	if (!handle || !gcpreload_inject_late(handle))
		return load_acquire(&attached);
	store_release(&attached, true);
	start_complain();
	return true;
}

/* ------------------------------------------------------------------ Py_Initialize and its kin */

/*
 * The real function, in this order (measured: a host that dlopens its plugin RTLD_LOCAL is
 * killed by a NULL from RTLD_NEXT): the next object of the global scope; the caller's own object
 * and what that needs; the loaded libpython. *handle is where the rest of it is.
 */
static void *find_real(const char *name, void *ours, void *caller, bool again, void **handle)
{
	void *real;
	Dl_info info;

	*handle = RTLD_NEXT;
	if (!dl_is_here())
		return next_function(name);
	real = again ? NULL : dlsym(RTLD_NEXT, name);
	if (!real && !again && dladdr(caller, &info) && info.dli_fname) {
		*handle = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
		real = *handle ? dlsym(*handle, name) : NULL;
	}
	if (!real || real == ours) {
		*handle = loaded_libpython();
		real = *handle ? dlsym(*handle, name) : NULL;
	}
	dlerror();
	return real == ours ? NULL : real;
}

enum { INITIALIZE = 1, INITIALIZE_EX = 2, FROM_CONFIG = 4, FROM_INIT_CONFIG = 8 };

/* The functions that this thread is in. Where one comes again, another copy of this library, under
 * another name, has found us as the next or as its caller: only libpython itself will do. */
static __thread unsigned inside __attribute__((tls_model("initial-exec")));

static void *before_initialize(const char *name, void *ours, void *caller, unsigned function)
{
	bool within = inside, again = inside & function;
	void *handle, *real = find_real(name, ours, caller, again, &handle);

	inside |= function;
	/* Installed by the outer one: not once more on top of another copy's. */
	if (within)
		return real;

	if (real && dl_is_here() && start_late() &&
	    gcpreload_inject_starting(handle == RTLD_NEXT ? RTLD_DEFAULT : handle) ==
		GCPRELOAD_PYTHON_FOUND) {
		store_release(&attached, true);
		start_complain();
		if (!exchange_acq_rel(&begun, true) ||
		    load_acquire(&gcpreload_self->settled) == READY_NEVER)
			ready_start();
	}
	return real;
}

#define CALLER __builtin_return_address(0)

struct PyStatus {
	int type;
	const char *func;
	const char *err_msg;
	int exitcode;
};

void Py_Initialize(void);
void Py_InitializeEx(int);
struct PyStatus Py_InitializeFromConfig(const void *);
int Py_InitializeFromInitConfig(void *);

EXPORT void Py_Initialize(void)
{
	void *real = before_initialize("Py_Initialize", (void *)Py_Initialize, CALLER, INITIALIZE);

	if (real)
		((void (*)(void))real)();
	inside &= ~(unsigned)INITIALIZE;
}

EXPORT void Py_InitializeEx(int signals)
{
	void *real =
	    before_initialize("Py_InitializeEx", (void *)Py_InitializeEx, CALLER, INITIALIZE_EX);

	if (real)
		((void (*)(int))real)(signals);
	inside &= ~(unsigned)INITIALIZE_EX;
}

EXPORT struct PyStatus Py_InitializeFromConfig(const void *config)
{
	void *real = before_initialize("Py_InitializeFromConfig", (void *)Py_InitializeFromConfig,
				       CALLER, FROM_CONFIG);
	struct PyStatus status = { 1, "Py_InitializeFromConfig", "libpython is not loaded", 1 };

	if (real)
		status = ((struct PyStatus(*)(const void *))real)(config);
	inside &= ~(unsigned)FROM_CONFIG;
	return status;
}

EXPORT int Py_InitializeFromInitConfig(void *config)
{
	void *real =
	    before_initialize("Py_InitializeFromInitConfig", (void *)Py_InitializeFromInitConfig,
			      CALLER, FROM_INIT_CONFIG);
	int ret = real ? ((int (*)(void *))real)(config) : -1;

	inside &= ~(unsigned)FROM_INIT_CONFIG;
	return ret;
}

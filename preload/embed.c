/* SPDX-License-Identifier: MIT */
/*
 * Py_Initialize and its kin, which hosts call that load libpython after their start: they pass
 * through to the real one, and are where such a host's interpreter begins.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/dl.h"
#include "inject/inject.h"
#include "preload/configure.h"
#include "preload/late.h"
#include "preload/next.h"

#define EXPORT __attribute__((visibility("default")))

/*
 * The real function, in this order (measured: a host that dlopens its plugin RTLD_LOCAL is
 * killed by a NULL from RTLD_NEXT): the next object of the global scope; the caller's own object
 * and what that needs; the loaded libpython. *handle is where the rest of it is.
 */
static void *embed_find_real(const char *name, void *ours, void *caller, bool again, void **handle)
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
		*handle = late_libpython();
		real = *handle ? dlsym(*handle, name) : NULL;
	}
	dlerror();
	return real == ours ? NULL : real;
}

enum { INITIALIZE = 1, INITIALIZE_EX = 2, FROM_CONFIG = 4, FROM_INIT_CONFIG = 8 };

/* The functions that this thread is in. Where one comes again, another copy of this library, under
 * another name, has found us as the next or as its caller: only libpython itself will do. */
static __thread unsigned inside __attribute__((tls_model("initial-exec")));

static void *embed_begins(const char *name, void *ours, void *caller, unsigned function)
{
	bool within = inside, again = inside & function;
	void *handle, *real = embed_find_real(name, ours, caller, again, &handle);

	inside |= function;
	/* Installed by the outer one: not once more on top of another copy's. */
	if (within)
		return real;

	if (real && dl_is_here() && configure_late() &&
	    gcpreload_inject_starting(handle == RTLD_NEXT ? RTLD_DEFAULT : handle) ==
		GCPRELOAD_PYTHON_FOUND)
		late_attached();
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
	void *real = embed_begins("Py_Initialize", (void *)Py_Initialize, CALLER, INITIALIZE);

	if (real)
		((void (*)(void))real)();
	inside &= ~(unsigned)INITIALIZE;
}

EXPORT void Py_InitializeEx(int signals)
{
	void *real =
	    embed_begins("Py_InitializeEx", (void *)Py_InitializeEx, CALLER, INITIALIZE_EX);

	if (real)
		((void (*)(int))real)(signals);
	inside &= ~(unsigned)INITIALIZE_EX;
}

EXPORT struct PyStatus Py_InitializeFromConfig(const void *config)
{
	void *real = embed_begins("Py_InitializeFromConfig", (void *)Py_InitializeFromConfig,
				  CALLER, FROM_CONFIG);
	struct PyStatus status = { 1, "Py_InitializeFromConfig", "libpython is not loaded", 1 };

	if (real)
		status = ((struct PyStatus(*)(const void *))real)(config);
	inside &= ~(unsigned)FROM_CONFIG;
	return status;
}

EXPORT int Py_InitializeFromInitConfig(void *config)
{
	void *real = embed_begins("Py_InitializeFromInitConfig",
				  (void *)Py_InitializeFromInitConfig, CALLER, FROM_INIT_CONFIG);
	int ret = real ? ((int (*)(void *))real)(config) : -1;

	inside &= ~(unsigned)FROM_INIT_CONFIG;
	return ret;
}

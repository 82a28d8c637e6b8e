/* SPDX-License-Identifier: MIT */
/* Loaded before the library: a Python that says it is another version (OTHER_VERSION), or that
 * tells nothing of how its module gc is made (NO_DEFINITION), as those of PEP 793. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

const char *Py_GetVersion(void)
{
	const char *(*real)(void) = (const char *(*)(void))dlsym(RTLD_NEXT, "Py_GetVersion");
	const char *other = getenv("OTHER_VERSION");

	return other ? other : real();
}

void *PyModule_GetDef(void *module)
{
	void *(*real)(void *) = (void *(*)(void *))dlsym(RTLD_NEXT, "PyModule_GetDef");
	const char *(*name)(void *) = (const char *(*)(void *))dlsym(RTLD_NEXT, "PyModule_GetName");
	Dl_info caller;

	/* The interpreter itself must see it. */
	if (getenv("NO_DEFINITION") && dladdr(__builtin_return_address(0), &caller) &&
	    strstr(caller.dli_fname, "libgcpreload") && strcmp(name(module), "gc") == 0)
		return NULL;
	return real(module);
}

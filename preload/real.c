/* SPDX-License-Identifier: MIT */
#include "preload/real.h"

#include "inject/dl.h"
#include "preload/next.h"

struct real real;

static void *next(const char *name)
{
	void *found;

	if (!dl_is_here())
		return next_function(name);
	found = dlsym(RTLD_NEXT, name);
	if (!found)
		dlerror(); /* musl has not all of them; what that leaves pending is ours */
	return found;
}

void real_resolve(void)
{
#define F(type, name, args)                                                                        \
	__atomic_store_n(&real.name, (type(*) args)next(#name), __ATOMIC_RELAXED);
	REAL_FUNCTIONS(F)
#undef F
}

/* SPDX-License-Identifier: MIT */
#include "preload/real.h"

#include "base/dl.h"
#include "base/shared.h"
#include "preload/next.h"

/* Written by the constructor, or by whoever calls before it; each pointer is whole, and the same
 * whoever writes it. Read by any thread. */
struct real real;

static void *real_next(const char *name)
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
#define F(type, name, args) store_relaxed(&real.name, (type(*) args)real_next(#name));
	REAL_FUNCTIONS(F)
#undef F
}

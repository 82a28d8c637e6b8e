/* SPDX-License-Identifier: MIT */
#include "preload/real.h"

#include "inject/dl.h"
#include "preload/next.h"

struct real real;

static void *next(const char *name)
{
	return dl_is_here() ? dlsym(RTLD_NEXT, name) : next_function(name);
}

void real_resolve(void)
{
#define F(type, name, args)                                                                        \
	__atomic_store_n(&real.name, (type(*) args)next(#name), __ATOMIC_RELAXED);
	REAL_FUNCTIONS(F)
#undef F
}

/* SPDX-License-Identifier: MIT */
#include "preload/real.h"

#include "inject/dl.h"

struct real real;

void real_resolve(void)
{
#define F(type, name, args) real.name = (type(*) args)dlsym(RTLD_NEXT, #name);
	REAL_FUNCTIONS(F)
#undef F
}

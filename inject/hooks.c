/* SPDX-License-Identifier: MIT */
#include "inject/hooks.h"

const struct inject_hooks *inject_told;

void inject_hook(const struct inject_hooks *hooks)
{
	inject_told = hooks;
}

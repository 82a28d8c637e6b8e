/* SPDX-License-Identifier: MIT */
#include "cli/attach/step.h"

#include <signal.h>

static long step_last, step_count;

void step_end_behind(long n)
{
	step_last = n;
}

void step_made(void)
{
	if (++step_count == step_last)
		raise(SIGKILL);
}

/* SPDX-License-Identifier: MIT */
#include "preload/forks.h"

#include <errno.h>

#include "base/machine.h"
#include "engine/engine.h"
#include "inject/inject.h"
#include "preload/agenda.h"
#include "preload/entry.h"
#include "preload/late.h"
#include "preload/look.h"

void forks_begin(void)
{
	int saved_errno = errno;

	if (!look_is_off()) {
		entry_on_main_thread();
		agenda_before_c_fork();
		entry_forks_alone = machine_single_threaded();
	}
	errno = saved_errno;
}

void forks_end(pid_t pid)
{
	int saved_errno = errno;

	if (pid == 0) {
		if (!entry_forks_alone)
			late_forked();
		gcpreload_inject_wait_forked();
		entry_begin_if_new();
	}
	entry_forks_alone = false;
	errno = saved_errno;
}

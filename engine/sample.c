/* SPDX-License-Identifier: MIT */
#include "engine/sample.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "rules/sample.h"

enum gcpreload_sample sample_of_this_process(const struct gcpreload_settings *settings)
{
	struct {
		int64_t pid;
		uint64_t now;
	} process;
	struct utsname name;

	if (!sample_is_asked(settings))
		return GCPRELOAD_SAMPLE_NONE;
	if (settings->sample_by == GCPRELOAD_SAMPLE_BY_PROCESS) {
		process.pid = syscall(SYS_getpid);
		process.now = gcpreload_now_ns();
		return sample_decide(settings, &process, sizeof process);
	}
	if (uname(&name) < 0)
		return GCPRELOAD_SAMPLE_UNTUNED;
	return sample_decide(settings, name.nodename, strlen(name.nodename));
}

/* SPDX-License-Identifier: MIT */
#include "engine/sample.h"

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"

struct sample_choice sample_of_this_process(const struct gcpreload_settings *settings)
{
	struct {
		int64_t pid;
		uint64_t now;
	} process;
	struct utsname name = { .nodename = "" };
	struct sample_choice choice;

	if (sample_is_asked(settings) && settings->sample_by == GCPRELOAD_SAMPLE_BY_PROCESS) {
		process.pid = syscall(SYS_getpid);
		process.now = gcpreload_now_ns();
		return sample_of_process(settings, &process, sizeof process);
	}
	if (!sample_is_asked(settings))
		return (struct sample_choice){ .sample = GCPRELOAD_SAMPLE_NONE };
	choice = sample_of_pod(settings, uname(&name) < 0 ? "" : name.nodename);
	if (choice.sample == GCPRELOAD_SAMPLE_TUNED && choice.by == SAMPLE_BY_HASH &&
	    !*name.nodename)
		choice.sample = GCPRELOAD_SAMPLE_UNTUNED;
	return choice;
}

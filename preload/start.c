/* SPDX-License-Identifier: MIT */
/*
 * What ld.so runs in every process that is started under the library: programs of all kinds,
 * most of them not Python. One look, and out.
 */
#include "preload/start.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "base/clock.h"
#include "base/dl.h"
#include "base/self.h"
#include "base/shared.h"
#include "preload/agenda.h"
#include "preload/log.h"
#include "preload/next.h"
#include "preload/ready.h"
#include "preload/real.h"
#include "preload/settings.h"

extern char **environ;

static struct gcpreload_settings settings;
static enum use { UNREAD, READING, IN_USE, OUT_OF_USE } use;
static bool python_found, complained;

static const struct gcpreload_engine_hooks hooks = {
	.tick = agenda_tick,
	.act = agenda_act,
	.before_fork = agenda_before_fork,
};

static void complain(const char *sentence)
{
	log_say(GCPRELOAD_LOG_WARNING, "%s", sentence);
}

/* Before anything is timed. */
static void take_clock(void)
{
	void *found = next_in_libc("clock_gettime");

	if (found)
		gcpreload_clock = (int (*)(clockid_t, struct timespec *))found;
}

/* quiet: nobody knows yet whether this will be a Python process. The page that other threads look
 * at is made known last. */
static bool begin(bool quiet)
{
	complained = !quiet;
	take_clock();
	log_note_stderr(quiet);
	settings_read(&settings, environ, quiet ? NULL : complain);
	gcpreload_log = log_say;
	gcpreload_engine_use(&settings, &hooks);
	if (settings.excluded || settings.mode == GCPRELOAD_MODE_OFF)
		return false;
	agenda_start(&settings.triggers, settings.baseline_ns);
	if (gcpreload_self_init() < 0)
		return false;
	if (!quiet)
		agenda_python_found();
	return true;
}

static enum use now_in(enum use what)
{
	store_release(&use, what);
	return what;
}

static bool start_reading(bool quiet)
{
	enum use seen = UNREAD;

	if (swap_acq_rel(&use, &seen, READING))
		seen = now_in(!settings_disabled(environ) && !getauxval(AT_SECURE) && begin(quiet)
				  ? IN_USE
				  : OUT_OF_USE);
	return seen == IN_USE;
}

bool start_late(void)
{
	return start_reading(true);
}

bool start_possible(void)
{
	enum use seen = load_acquire(&use);

	return seen == UNREAD || seen == IN_USE;
}

void start_complain(void)
{
	struct gcpreload_settings again;

	if (exchange_relaxed(&complained, true))
		return;
	settings_read(&again, environ, complain);
	agenda_python_found();
}

bool start_python_found(void)
{
	return python_found;
}

/* Under musl we pass everything through: what is written here was measured with glibc. */
#pragma weak gnu_get_libc_version

extern const char PyImport_Inittab __attribute__((weak));

__attribute__((constructor)) static void start(void)
{
	int saved_errno = errno;

	if (!gnu_get_libc_version || settings_disabled(environ))
		now_in(OUT_OF_USE);
	real_resolve();
	if (&PyImport_Inittab && dl_is_here() && start_reading(false)) {
		python_found = gcpreload_inject_install() == GCPRELOAD_PYTHON_FOUND;
		if (python_found) {
			ready_start();
		} else {
			gcpreload_self_drop();
			now_in(OUT_OF_USE);
		}
	}
	errno = saved_errno;
}

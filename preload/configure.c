/* SPDX-License-Identifier: MIT */
#include "preload/configure.h"

#include <errno.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/self.h"
#include "base/shared.h"
#include "engine/engine.h"
#include "inject/inject.h"
#include "preload/agenda.h"
#include "preload/control.h"
#include "preload/entry.h"
#include "preload/log.h"
#include "preload/next.h"
#include "preload/service.h"
#include "preload/settings.h"

/* Written by the thread that turns UNREAD into READING, and read by others once it is IN_USE. */
static struct gcpreload_settings settings;
static enum use { UNREAD, READING, IN_USE, OUT_OF_USE, LOADED_LATE } use;
static bool python_found, complained, attached;

static void configure_say(const char *sentence)
{
	log_say(GCPRELOAD_LOG_WARNING, "%s", sentence);
}

/* Before anything is timed. */
static void configure_clock(void)
{
	void *found = next_in_libc("clock_gettime");

	if (found)
		store_relaxed(&gcpreload_clock, (int (*)(clockid_t, struct timespec *))found);
}

/* quiet: nobody knows yet whether this will be a Python process. The page that other threads look
 * at is made known last. */
static bool configure_begin(bool quiet)
{
	store_relaxed(&complained, !quiet);
	configure_clock();
	log_note_stderr(quiet);
	settings_read(&settings, environ, quiet ? NULL : configure_say);
	gcpreload_log = log_say;
	gcpreload_log_record = log_say_record;
	gcpreload_engine_use(&settings, &entry_hooks);
	if (settings.excluded || settings.mode == GCPRELOAD_MODE_OFF)
		return false;
	agenda_start(&settings.triggers, settings.baseline_ns);
	service_start(&settings, environ);
	control_start(&settings);
	/* Nothing else of ours is done to the collector before it is looked at readiness. */
	if (!settings.startup_gc && !quiet)
		control_before_fork(gcpreload_now_ns());
	if (gcpreload_self_init() < 0)
		return false;
	if (!quiet)
		agenda_python_found();
	return true;
}

static bool configure_once(bool quiet)
{
	enum use seen = UNREAD;

	if (!swap_acq_rel(&use, &seen, READING))
		return seen == IN_USE;
	seen = !settings_disabled(environ) && !getauxval(AT_SECURE) && configure_begin(quiet)
		   ? IN_USE
		   : OUT_OF_USE;
	store_release(&use, seen);
	return seen == IN_USE;
}

bool configure_now(void)
{
	return configure_once(false);
}

bool configure_late(void)
{
	return configure_once(true);
}

bool configure_possible(void)
{
	enum use seen = load_acquire(&use);

	return seen == UNREAD || seen == IN_USE;
}

void configure_loaded_late(void)
{
	store_release(&use, LOADED_LATE);
}

/* Descriptor 2 may be anything by now, as in a host that loads Python late. */
static bool configure_begin_attached(char **environment)
{
	if (settings_disabled(environment))
		return false;
	store_relaxed(&complained, true);
	configure_clock();
	log_note_stderr(true);
	settings_read(&settings, environment, configure_say);
	gcpreload_log = log_say;
	gcpreload_log_record = log_say_record;
	if (settings.excluded || settings.mode == GCPRELOAD_MODE_OFF)
		return false;
	gcpreload_engine_use(&settings, &entry_hooks);
	agenda_start(&settings.triggers, settings.baseline_ns);
	service_start(&settings, environment);
	control_start(&settings);
	return gcpreload_self_init() == 0;
}

bool configure_may_attach(void)
{
	enum use seen = load_acquire(&use);

	return seen == UNREAD || seen == LOADED_LATE;
}

int configure_attach(char **environment)
{
	enum use seen = LOADED_LATE, unread = UNREAD;

	if (!swap_acq_rel(&use, &seen, READING) && !swap_acq_rel(&use, &unread, READING))
		return -EALREADY;
	if (!configure_begin_attached(environment)) {
		configure_loaded_late();
		return -ECANCELED;
	}
	store_relaxed(&attached, true);
	store_release(&use, IN_USE);
	return 0;
}

bool configure_attached(void)
{
	return load_relaxed(&attached);
}

void configure_detached(void)
{
	gcpreload_self_drop();
	store_relaxed(&attached, false);
	configure_loaded_late();
}

void configure_off(void)
{
	store_release(&use, OUT_OF_USE);
}

void configure_complain(void)
{
	struct gcpreload_settings again;

	if (exchange_relaxed(&complained, true))
		return;
	settings_read(&again, environ, configure_say);
	agenda_python_found();
}

void configure_disabled(void)
{
	if (!settings_disable_is_unclear(environ) || getauxval(AT_SECURE))
		return;
	log_note_stderr(false);
	settings_read(&settings, environ, configure_say);
}

bool configure_with_python(void)
{
	return load_acquire(&python_found);
}

void configure_python_found(void)
{
	store_release(&python_found, true);
}

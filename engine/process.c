/* SPDX-License-Identifier: MIT */
#include "engine/process.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/self.h"
#include "base/shared.h"
#include "engine/act.h"
#include "engine/idle.h"
#include "engine/sample.h"
#include "engine/slow.h"
#include "engine/startup.h"
#include "engine/tuner.h"
#include "inject/module.h"
#include "inject/observer.h"

#define OBSERVE_BEFORE_FILE_NS 2000000000ull
#define LOOK_EVERY_NS	       1000000000ull
#define UNANSWERED_NS	       1000000000ull

struct process process;
const struct gcpreload_settings *settings;
const struct gcpreload_hooks *hooks;
struct gcpreload_place process_place;

static bool attached_late;

void gcpreload_inject_use(const struct gcpreload_settings *the_settings,
			  const struct gcpreload_hooks *the_hooks)
{
	settings = the_settings;
	hooks = the_hooks;
	process_place = (struct gcpreload_place){ settings->dir, settings->group };
}

static void begin_process(void)
{
	static bool begun; /* in an ancestor */
	struct growth inherited;

	memset(&process, 0, sizeof process);
	process.mode = settings->mode;
	process.thresholds_due = true;
	if (begun) {
		machine_growth(&inherited);
		process.resident_at_fork = inherited.resident;
	}
	begun = true;
	act_begin_process();
	idle_end();
	process.status.sample = sample_decide(settings);
	if (process.status.sample == GCPRELOAD_SAMPLE_UNTUNED)
		process.mode = GCPRELOAD_MODE_OBSERVE;
	process.status.state = GCPRELOAD_STATE_STARTING;
	process.status.mode = process.mode;
	process.status.frozen_objects = -1;
	process.status.flags = attached_late ? GCPRELOAD_FLAG_LATE : 0;
	tuner_thresholds(process.status.thresholds, process.status.thresholds_before);
	snprintf(process.status.python, sizeof process.status.python, "%d.%d.%d%s",
		 python_version.major, python_version.minor, python_version.micro,
		 python_version.free_threaded ? "t" : "");
	process_text(trigger, settings->trigger);
	process_text(service_name, settings->service_name);
	process_text(service_version, settings->service_version);
	process_text(service_environment, settings->service_environment);
	if (!attached_late)
		startup_begin();
	store_relaxed(&gcpreload_self->inject, 1);
}

void process_observes(void)
{
	process.status.state = GCPRELOAD_STATE_OBSERVING;
	process_text(reason, process.status.sample == GCPRELOAD_SAMPLE_UNTUNED
				 ? "not in the sample (GCPRELOAD_SAMPLE)"
				 : "GCPRELOAD_MODE=observe");
}

/* What a process inherits must be right for one that never waits, is never ready, and has nobody
 * who looks after it. In a callback that interpreters share, the current one may be another. */
static void give_back_if_due(void)
{
	PyObject *gc = py_in_main_interpreter() ? module_gc() : NULL;

	if (gc) {
		tuner_begin_process(gc);
		process.thresholds_due = false;
	}
	py_drop(gc);
}

void process_begin_if_new(void)
{
	if (__builtin_expect(!load_relaxed(&gcpreload_self->inject), 0))
		begin_process();
	if (__builtin_expect(process.thresholds_due, 0))
		give_back_if_due();
}

void process_update(void)
{
	process.status.mode = process.mode;
	process.status.log_dropped = load_relaxed(&gcpreload_log_dropped);
	gcpreload_ring_status(&process.status);
}

bool process_publish(void)
{
	const char *why = "";
	int ret;

	process_update();
	if (settings->ring == GCPRELOAD_RING_OFF || process.no_ring || gcpreload_ring_published())
		return gcpreload_ring_published();
	ret = gcpreload_ring_publish(&process_place, &why);
	if (ret == 0)
		return true;
	process.no_ring = true;
	gcpreload_log(GCPRELOAD_LOG_WARNING, "no ring in %s: %s (%s); %s", process_place.dir, why,
		      strerror(-ret),
		      settings->ring == GCPRELOAD_RING_REQUIRE
			  ? "standing back, because GCPRELOAD_RING=require"
			  : "tuning goes on, unmeasured");
	return false;
}

static void observe_now(void)
{
	process_observes();
	process_publish();
}

/* In a process that only observes, nothing else ever decides to make the file. Not from here:
 * making it takes longer than a collection should, unless the main thread blocks and runs no
 * pending call. */
static void tick(uint64_t now_ns, const struct gcpreload_event *event)
{
	process_begin_if_new();
	idle_observed(event, now_ns);
	startup_tick(now_ns);
	if (process.mode == GCPRELOAD_MODE_OBSERVE && !process.observed_enough &&
	    process.status.state == GCPRELOAD_STATE_STARTING &&
	    now_ns > gcpreload_ring_attached_ns() + OBSERVE_BEFORE_FILE_NS)
		process.observed_enough = gcpreload_inject_soon();
	else if (process.observed_enough && process.status.state == GCPRELOAD_STATE_STARTING &&
		 now_ns > gcpreload_ring_attached_ns() + OBSERVE_BEFORE_FILE_NS + UNANSWERED_NS)
		observe_now();
	if (process.status.state == GCPRELOAD_STATE_READY &&
	    now_ns > process.looked_ns + LOOK_EVERY_NS && gcpreload_inject_soon())
		process.looked_ns = now_ns;
	hooks->tick(now_ns);
}

/* An application may begin to tune its collector in its first request. */
static void look_again(void)
{
	PyObject *gc = module_gc();
	const char *why;

	if (gc && tuner_may_still(gc, &why) == TUNER_NEVER)
		tuner_stand_back(gc, why);
	process_update(); /* it may have unfrozen all, too */
	py_drop(gc);
}

void process_act(void)
{
	process_begin_if_new();
	if (process.status.state == GCPRELOAD_STATE_READY)
		look_again();
	if (process.idle_asked) {
		PyObject *gc = module_gc();

		if (gc)
			idle_act(gc);
		py_drop(gc);
	}
	if (!process.observed_enough || process.status.state != GCPRELOAD_STATE_STARTING)
		return;
	observe_now();
}

void process_attached(bool late)
{
	attached_late = late;
	process_begin_if_new();
	slow_from_ns = settings->slow_ns;
	process_update(); /* counting begins here */
	observer_on_stop(tick);
}

void process_subinterpreter(void)
{
	process_begin_if_new();
	process.status.flags |= GCPRELOAD_FLAG_SUBINTERPRETERS;
	process_update();
}

/* proc(5): a directory's links count its sub-directories, one for each thread. */
bool gcpreload_inject_is_single_threaded(void)
{
	struct stat st;

	return syscall(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &st, 0) == 0 &&
	       st.st_nlink == 3;
}

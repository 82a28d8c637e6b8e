/* SPDX-License-Identifier: MIT */
#include "engine/begin.h"

#include <string.h>
#include <unistd.h>

#include "base/machine.h"
#include "base/self.h"
#include "engine/engine.h"
#include "engine/pacing.h"
#include "engine/process.h"
#include "engine/sample.h"
#include "engine/soon.h"
#include "engine/startup.h"
#include "engine/tuner.h"
#include "inject/module.h"
#include "inject/slow.h"
#include "rules/helper.h"
#include "rules/recipe.h"

static bool attached_late, by_attach;

/* In this process, with an older runtime, or in an ancestor. */
static pid_t begun;
static unsigned ancestors;

/* What children inherit. Written and read by any thread. */
static int told_mode = GCPRELOAD_ENGINE_NOT_TOLD;
static uint64_t told_serial;

void gcpreload_engine_told(int mode, uint64_t serial)
{
	store_relaxed(&told_mode, mode);
	store_relaxed(&told_serial, serial);
}

static void note_sample(void)
{
	struct sample_choice choice = sample_of_this_process(settings);

	process.status.sample = choice.sample;
	sample_explain(process.sampled, sizeof process.sampled, settings, &choice);
}

enum gcpreload_mode begin_mode_of_settings(void)
{
	enum gcpreload_mode mode = load_relaxed(&settings->mode);

	if (process.status.sample == GCPRELOAD_SAMPLE_NONE)
		note_sample();
	if (mode >= GCPRELOAD_MODE_FREEZE && (process.status.sample == GCPRELOAD_SAMPLE_UNTUNED ||
					      recipe_for(&python_version) == RECIPE_UNKNOWN))
		mode = GCPRELOAD_MODE_OBSERVE;
	return mode;
}

static enum gcpreload_mode begin_mode(void)
{
	enum gcpreload_mode by_settings = begin_mode_of_settings();
	int told = load_relaxed(&told_mode);

	return told == GCPRELOAD_ENGINE_NOT_TOLD ? by_settings : (enum gcpreload_mode)told;
}

void begin_with_mode(void)
{
	bool parent = process.status.flags & GCPRELOAD_FLAG_PARENT;
	uint64_t serial = load_relaxed(&told_serial);
	enum gcpreload_mode mode = begin_mode();

	if (process.status.state != GCPRELOAD_STATE_STARTING && !parent)
		return;
	if (mode != process.mode)
		process.thawed = false;
	if (parent && mode >= GCPRELOAD_MODE_FREEZE && process.mode < GCPRELOAD_MODE_FREEZE) {
		process.status.state = GCPRELOAD_STATE_STARTING;
		process_text(reason, "");
	}
	process.mode = mode;
	process.by_command = load_relaxed(&told_mode) != GCPRELOAD_ENGINE_NOT_TOLD;
	if (serial > process.status.control_serial)
		process.status.control_serial = serial;
}

/* It ends with its job: it is never ready, so nothing of ours may wait for that. */
static void begin_as_job(void)
{
	const struct helper *helper = settings->helper;

	if (!helper || !helper->jobs || ancestors < helper->jobs)
		return;
	process.job = true;
	process.mode = GCPRELOAD_MODE_OBSERVE;
	process.status.state = GCPRELOAD_STATE_STANDING_BACK;
	process_text(reason, helper->why);
}

static uint32_t begin_flags(void)
{
	return (attached_late ? GCPRELOAD_FLAG_LATE : 0) |
	       (by_attach ? GCPRELOAD_FLAG_ATTACHED : 0);
}

static void begin_new_process(void)
{
	struct growth inherited;

	pacing_forget();
	memset(&process, 0, sizeof process);
	process.thresholds_due = true;
	process.is_child = begun && begun != getpid();
	ancestors += process.is_child;
	process.full_at_fork = tuner_full_collections();
	if (begun) {
		machine_growth(&inherited);
		process.resident_at_fork = inherited.resident;
		process.inherited_frozen = tuner_frozen();
	}
	begun = getpid();
	soon_forget();
	process.status.state = GCPRELOAD_STATE_STARTING;
	begin_with_mode();
	begin_as_job();
	process.status.mode = process.mode;
	process.status.frozen_objects = -1;
	process.status.flags = begin_flags();
	process.attached = by_attach;
	tuner_thresholds(process.status.thresholds, process.status.thresholds_before);
	snprintf(process.status.python, sizeof process.status.python, "%d.%d.%d%s",
		 python_version.major, python_version.minor, python_version.micro,
		 python_version.free_threaded ? "t" : "");
	process_text(trigger, settings->trigger);
	process_text(service_version, settings->service_version);
	process_text(service_environment, settings->service_environment);
	if (!attached_late)
		startup_begin();
	store_relaxed(&gcpreload_self->inject, 1);
}

void begin_by_attach(void)
{
	by_attach = true;
	begun = 0;
	ancestors = 0;
	gcpreload_engine_told(GCPRELOAD_ENGINE_NOT_TOLD, 0);
}

/* What a process inherits must be right for one that never waits, is never ready, and has nobody
 * who looks after it. In a callback that interpreters share, the current one may be another. */
static void begin_with_own_thresholds(void)
{
	PyObject *gc = py_in_main_interpreter() ? module_gc() : NULL;

	if (gc) {
		tuner_begin_process(gc);
		process.thresholds_due = false;
	}
	py_drop(gc);
}

void begin_if_new(void)
{
	if (__builtin_expect(!load_relaxed(&gcpreload_self->inject), 0))
		begin_new_process();
	if (__builtin_expect(process.thresholds_due, 0))
		begin_with_own_thresholds();
}

void begin_attached(bool late)
{
	attached_late = late;
	begin_if_new();
	slow_from_ns = settings->slow_ns;
	if (by_attach) {
		gcpreload_ring_since_now();
		tuner_doubt_defaults();
	}
	process_update(); /* counting begins here */
}

void begin_subinterpreter(void)
{
	begin_if_new();
	pacing_subinterpreter();
	process.status.flags |= GCPRELOAD_FLAG_SUBINTERPRETERS;
	process_update();
}

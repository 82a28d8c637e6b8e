/* SPDX-License-Identifier: MIT */
/* Ties the engine to the rooms below it: the hooks of inject/, set once. */
#include "engine/engine.h"

#include "engine/begin.h"
#include "engine/census.h"
#include "engine/freezer.h"
#include "engine/pacing.h"
#include "engine/process.h"
#include "engine/recognise.h"
#include "engine/referrers.h"
#include "engine/soon.h"
#include "engine/startup.h"
#include "engine/tuner.h"
#include "engine/turn.h"
#include "inject/hooks.h"

static void runtime_begins(void)
{
	pacing_forget();
	freezer_forget();
	tuner_forget();
	referrers_forget();
}

static enum gcpreload_cause collection_starts(unsigned generation, enum gcpreload_cause cause)
{
	if (startup_empties()) {
		startup_at_start(cause);
		return cause;
	}
	begin_if_new();
	cause = freezer_at_start(generation, cause);
	pacing_at_start(generation, cause);
	return cause;
}

static bool collection_stops(const struct gcpreload_event *event)
{
	bool tick = freezer_at_stop();

	pacing_at_stop(event);
	return tick;
}

void gcpreload_engine_use(const struct gcpreload_settings *the_settings,
			  const struct gcpreload_engine_hooks *hooks)
{
	static const struct inject_hooks inject = {
		.runtime_begins = runtime_begins,
		.observes = recognise_collector,
		.attached = begin_attached,
		.subinterpreter = begin_subinterpreter,
		.before_fork = turn_before_fork,
		.after_fork = begin_if_new,
		.before_exec = pacing_exec,
		.at_start = collection_starts,
		.at_stop = collection_stops,
		.slow = census_take,
		.tick = turn_tick,
	};

	process_use(the_settings, hooks->service);
	turn_use(hooks);
	soon_calls(turn_act);
	inject_hook(&inject);
}

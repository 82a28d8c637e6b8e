/* SPDX-License-Identifier: MIT */
#include "engine/process.h"

#include <string.h>

#include "base/log.h"

struct process process;
const struct gcpreload_settings *settings;
struct gcpreload_place process_place;

void process_use(const struct gcpreload_settings *the_settings)
{
	settings = the_settings;
	process_place = (struct gcpreload_place){ settings->dir, settings->group };
}

void process_observes(void)
{
	process.status.state = GCPRELOAD_STATE_OBSERVING;
	process_text(reason, settings->observes ? settings->observes
			     : process.status.sample == GCPRELOAD_SAMPLE_UNTUNED
				 ? process.sampled
				 : "GCPRELOAD_MODE=observe");
}

void process_is_tuned(bool chances)
{
	store_relaxed(&process.tuned, true);
	store_relaxed(&process.wants_chances, chances);
}

void process_is_left_alone(void)
{
	store_relaxed(&process.wants_chances, false);
	store_relaxed(&process.tuned, false);
	memset(&process.status.idle.guard, 0, sizeof process.status.idle.guard);
	process.status.idle.due = 0;
}

void process_update(void)
{
	struct gcpreload_idle *idle = &process.status.idle;

	idle->refused_busy = load_relaxed(&process.at_waits.refused_busy);
	idle->delayed_wakeups = load_relaxed(&process.at_waits.delayed_wakeups);
	idle->delayed_ns = load_relaxed(&process.at_waits.delayed_ns);
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
			  : "tuning continues without measurements");
	return false;
}

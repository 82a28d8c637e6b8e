/* SPDX-License-Identifier: MIT */
#include "engine/process.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "rules/recipe.h"

#define RING_DOUBLED 6 /* a minute between two tries, at most */

struct process process;
const struct gcpreload_settings *settings;
struct gcpreload_place process_place;

static struct gcpreload_service (*process_service)(char *name);

void process_use(const struct gcpreload_settings *the_settings,
		 struct gcpreload_service (*service)(char *name))
{
	process_service = service;
	settings = the_settings;
	process_place = (struct gcpreload_place){ settings->dir, settings->group };
}

void process_detached(void)
{
	gcpreload_ring_end();
	settings = NULL;
}

void process_observes(void)
{
	bool unknown = settings->mode >= GCPRELOAD_MODE_FREEZE &&
		       recipe_for(&python_version) == RECIPE_UNKNOWN;
	const char *by_settings = settings->observes ? settings->observes
				  : unknown	     ? recipe_refuses(&python_version)
				  : process.status.sample == GCPRELOAD_SAMPLE_UNTUNED
				      ? process.sampled
				      : "GCPRELOAD_MODE=observe";

	process.status.state = GCPRELOAD_STATE_OBSERVING;
	process_text(reason, process.by_command ? "by gcpreload set" : by_settings);
}

void process_is_off(void)
{
	process.status.state = GCPRELOAD_STATE_OFF;
	process_text(reason,
		     process.by_command ? "by gcpreload set" : "mode off in the settings file");
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

/* No space, no descriptor, a directory that was removed: that may pass. What is not ours, or not on
 * tmpfs, stays so. */
static bool ring_may_come(int error)
{
	static const int may_pass[] = { ENOSPC, EDQUOT, ENOMEM, EMFILE, ENFILE,
					EAGAIN, EINTR,	ENOENT, EIO };
	size_t i;

	for (i = 0; i < sizeof may_pass / sizeof *may_pass; i++)
		if (error == -may_pass[i])
			return true;
	return false;
}

/* Said once; tried again after 1, 2, 4 ... seconds. */
static void ring_failed(int error, const char *what, const char *why)
{
	uint64_t wait_ns = 1000000000ull << process.ring_failures;
	bool again = ring_may_come(error);

	process.ring_error = error;
	if (process.ring_failures < RING_DOUBLED)
		process.ring_failures++;
	store_relaxed(&process.ring_again_ns, again ? gcpreload_now_ns() + wait_ns : UINT64_MAX);
	if (!process.no_ring)
		gcpreload_log(GCPRELOAD_LOG_WARNING, "%s in %s: %s (%s)%s; %s", what,
			      process_place.dir, why, strerror(-error),
			      again ? ", trying again" : "",
			      settings->ring == GCPRELOAD_RING_REQUIRE
				  ? "standing back, because GCPRELOAD_RING=require"
				  : "tuning continues without measurements");
	process.no_ring = true;
}

static bool ring_may_be_tried(uint64_t now_ns)
{
	uint64_t again_ns = load_relaxed(&process.ring_again_ns);

	return !again_ns || (again_ns != UINT64_MAX && now_ns >= again_ns);
}

bool process_lacks_ring(uint64_t now_ns)
{
	if (gcpreload_ring_published())
		return ring_may_be_tried(now_ns) && gcpreload_ring_removed();
	return load_relaxed(&process.ring_again_ns) && ring_may_be_tried(now_ns);
}

bool process_publish(void)
{
	bool published = gcpreload_ring_published();
	const char *why = "";
	int ret;

	if (!process.status.service.from)
		process.status.service = process_service(process.status.service_name);
	process_update();
	if (settings->ring == GCPRELOAD_RING_OFF || process.job)
		return false;
	if (!ring_may_be_tried(gcpreload_now_ns()) || (published && !gcpreload_ring_removed()))
		return published;
	ret = published ? gcpreload_ring_remake(&process_place, &why)
			: gcpreload_ring_publish(&process_place, &why);
	if (ret < 0) {
		ring_failed(ret, published ? "the ring was removed, no new one" : "no ring", why);
		return published;
	}
	if (published || process.no_ring)
		gcpreload_log(GCPRELOAD_LOG_INFO, "a new ring in %s", process_place.dir);
	process.no_ring = false;
	process.ring_failures = 0;
	store_relaxed(&process.ring_again_ns, 0);
	return true;
}

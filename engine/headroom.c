/* SPDX-License-Identifier: MIT */
#include "engine/headroom.h"

#include "base/clock.h"

#define SECOND 1000000000ull

#define LOOK_EVERY_NS  SECOND
#define PAUSE_FIRST_NS (2 * SECOND)
#define PAUSE_MOST_NS  (32 * SECOND)

#define LIMIT_NEAR .90
#define LIMIT_FAR  .80

bool headroom_is_due(const struct headroom *headroom, uint64_t now)
{
	return gcpreload_elapsed(headroom->looked_ns, now) >= LOOK_EVERY_NS;
}

/* Throttled since the last look: a pause, twice as long each time. */
static void look_at_quota(struct headroom *headroom, uint64_t now, uint64_t throttled)
{
	if (headroom->throttled_ns && throttled > headroom->throttled_ns) {
		headroom->pause_ns = headroom->pause_ns ? headroom->pause_ns * 2 : PAUSE_FIRST_NS;
		if (headroom->pause_ns > PAUSE_MOST_NS)
			headroom->pause_ns = PAUSE_MOST_NS;
		headroom->paused_until_ns = now + headroom->pause_ns;
	} else if (now > headroom->paused_until_ns + PAUSE_MOST_NS) {
		headroom->pause_ns = 0;
	}
	headroom->throttled_ns = throttled;
}

void headroom_look(struct headroom *headroom, uint64_t now, const struct machine *machine)
{
	double part = headroom->near ? LIMIT_FAR : LIMIT_NEAR;

	headroom->looked_ns = now;
	look_at_quota(headroom, now, machine->throttled_ns);
	headroom->near = machine->limit && (double)machine->used > part * (double)machine->limit;
}

/* SPDX-License-Identifier: MIT */
#include "engine/reach.h"

#include "base/clock.h"
#include "base/shared.h"

/* So long without a chance, and with so many automatic collections, or with something that is due:
 * this process does not wait where we are. Fewer may be one burst, or one long request. */
#define OVERDUE_NS	1000000000ull
#define AUTOMATIC_LEAST 3

/* What may come between two looks, before it is known; and in how many looks it is forgotten. */
#define BURST_AT_FIRST 10000
#define BURST_FADES    16

#define FAR 1e18 /* ns */

void reach_begin(struct reach *reach, uint64_t now)
{
	*reach = (struct reach){ .seen_ns = now, .burst = BURST_AT_FIRST };
	store_relaxed(&reach->chance_ns, now);
}

bool reach_expects(struct reach *reach, uint64_t now)
{
	if (now >= load_relaxed(&reach->expected_ns))
		return true;
	store_relaxed(&reach->chance_ns, now);
	return false;
}

bool reach_may(const struct reach *reach, uint64_t now)
{
	return now >= load_relaxed(&reach->early_ns);
}

void reach_seen(struct reach *reach, uint64_t now, int64_t count0)
{
	int64_t grown = count0 > reach->seen ? count0 - reach->seen : 0;
	double rate;

	reach->burst -= reach->burst / BURST_FADES;
	if (grown > reach->burst)
		reach->burst = grown;
	if (grown && now > reach->seen_ns) {
		rate = (double)grown / (double)gcpreload_elapsed(reach->seen_ns, now);
		reach->rate = reach->rate > 0 ? reach->rate * .75 + rate * .25 : rate;
	}
	reach->seen = count0;
	reach->seen_ns = now;
}

void reach_expect(struct reach *reach, int64_t due, uint64_t not_before)
{
	double left = (double)(due - reach->seen);
	uint64_t at = 0;

	if (reach->rate > 0 && left > 0) {
		left /= reach->rate;
		at = left < FAR ? reach->seen_ns + (uint64_t)left : UINT64_MAX;
	}
	store_relaxed(&reach->expected_ns, at > not_before ? at : not_before);
	if (reach->seen + reach->burst >= due)
		at = 0;
	store_relaxed(&reach->early_ns, at > not_before ? at : not_before);
}

void reach_chance(struct reach *reach, uint64_t now)
{
	store_relaxed(&reach->chance_ns, now);
	store_relaxed(&reach->lost, false);
	store_relaxed(&reach->busy, false);
	reach->piled = false;
	reach->had_chance = true;
	reach->automatic = 0;
}

bool reach_is_overdue(const struct reach *reach, uint64_t now)
{
	return !load_relaxed(&reach->lost) &&
	       gcpreload_elapsed(load_relaxed(&reach->chance_ns), now) >= OVERDUE_NS;
}

void reach_lose(struct reach *reach, uint64_t now)
{
	if (reach_is_overdue(reach, now))
		store_relaxed(&reach->lost, true);
}

void reach_automatic(struct reach *reach, uint64_t now, bool piles_up)
{
	if (++reach->automatic < AUTOMATIC_LEAST)
		return;
	if (piles_up) {
		reach->piled = reach->piled || !load_relaxed(&reach->lost);
		store_relaxed(&reach->lost, true);
	} else {
		reach_lose(reach, now);
	}
}

void reach_refused(struct reach *reach)
{
	store_relaxed(&reach->busy, true);
}

/* A server may wait nearly all the time, and yet have none: what is said must be so. */
const char *reach_word(const struct reach *reach)
{
	if (load_relaxed(&reach->busy))
		return "other threads at work at each wait: using the interpreter's own thresholds";
	if (!reach->had_chance)
		return "its waits are not known: using the interpreter's own thresholds";
	if (reach->piled)
		return "too much survives between two waits: using the interpreter's own "
		       "thresholds";
	return "no idle moment for a second: using the interpreter's own thresholds";
}

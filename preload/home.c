/* SPDX-License-Identifier: MIT */
#include "preload/home.h"

#include <stddef.h>

#include "base/clock.h"

/* Of the longest wait a sixteenth is forgotten whenever the rest is halved: half of it in five
 * minutes. */
#define FORGOTTEN 16

void home_begin(struct home *home, uint64_t now)
{
	*home = (struct home){ .since_ns = now };
}

static bool home_is_same(const struct home_key *one, const struct home_key *other)
{
	return one->call == other->call && one->path == other->path;
}

bool home_is(const struct home *home, const struct home_key *key)
{
	return home->at && home_is_same(&home->at->key, key);
}

static void home_forget_half(struct home *home, uint64_t now)
{
	struct home_place *place;
	int i;

	while (gcpreload_elapsed(home->since_ns, now) >= HOME_HALVES_NS) {
		home->since_ns = now - gcpreload_elapsed(home->since_ns, now) / 2;
		for (i = 0; i < HOME_PLACES; i++) {
			place = &home->places[i];
			place->blocked_ns /= 2;
			place->waits = (place->waits + 1) / 2;
			place->longest_ns -= place->longest_ns / FORGOTTEN;
		}
	}
}

/* The place of that wait, a free one, or that of the one which blocks least; never home's. */
static struct home_place *home_place_of(struct home *home, const struct home_key *key)
{
	struct home_place *place, *least = NULL;
	int i;

	for (i = 0; i < HOME_PLACES; i++) {
		place = &home->places[i];
		if (home_is_same(&place->key, key))
			return place;
		if (place != home->at && (!least || place->blocked_ns < least->blocked_ns))
			least = place;
	}
	*least = (struct home_place){ .key = *key };
	return least;
}

/* In busy hours a worker is seldom at home, and may wait more for others within its jobs. But at
 * home it is when there is nothing to do, and then its waits are longer than any other. */
static bool home_may_move(const struct home *home, const struct home_place *to, uint64_t now)
{
	return !home->at || to->longest_ns > home->at->longest_ns ||
	       gcpreload_elapsed(home->seen_ns, now) >= HOME_STAYS_NS;
}

void home_waited(struct home *home, const struct home_key *key, uint64_t began_ns,
		 uint64_t ended_ns)
{
	uint64_t lasted = gcpreload_elapsed(began_ns, ended_ns), all;
	struct home_place *place;

	home_forget_half(home, ended_ns);
	place = home_place_of(home, key);
	place->waits++;
	if (lasted > place->longest_ns)
		place->longest_ns = lasted;
	all = gcpreload_elapsed(home->since_ns, ended_ns);
	place->blocked_ns += lasted;
	if (place->blocked_ns > all) /* of a long wait only a part is remembered */
		place->blocked_ns = all;
	if (place != home->at && all >= HOME_LEAST_NS && place->waits >= HOME_LEAST_WAITS &&
	    place->blocked_ns > all / 2 && home_may_move(home, place, ended_ns))
		home->at = place;
	if (place == home->at)
		home->seen_ns = ended_ns;
}

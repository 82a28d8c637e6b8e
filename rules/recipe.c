/* SPDX-License-Identifier: MIT */
#include "rules/recipe.h"

#include <stddef.h>
#include <string.h>

#define INCREMENTAL_FROM 13 /* its first alphas */

/* PEP 848's collectors have the thresholds of 3.15, but threshold0 is in kilobytes of memory: what
 * is counted tells them. The incremental one of 3.14.0 knows no third threshold. */
void recipe_recognise(struct pyversion *version, const struct recipe_shown *shown)
{
	bool counts = version->minor <= PYVERSION_TUNED || shown->counted >= RECIPE_MADE;

	if (shown->generations != GCPRELOAD_GENERATIONS || !counts)
		version->collector = PYVERSION_OTHER;
	else if (version->minor >= INCREMENTAL_FROM && !shown->thresholds[2])
		version->collector = PYVERSION_INCREMENTAL;
	else
		version->collector = PYVERSION_GENERATIONS;
}

void recipe_own_thresholds(const struct pyversion *version,
			   int32_t thresholds[GCPRELOAD_GENERATIONS])
{
	/* The third one of the incremental collector is 0. */
	static const int32_t known[][GCPRELOAD_GENERATIONS] = { { 700, 10, 10 },
								{ 2000, 10, 10 },
								{ 2000, 10, 0 } };
	size_t i;

	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (memcmp(thresholds, known[i], sizeof *known) == 0)
			return;
	memcpy(thresholds, known[version->minor >= INCREMENTAL_FROM], sizeof *known);
}

/* 3.14.5 and 3.15.0b1 went back to generations. */
static enum pyversion_collector recipe_collector(const struct pyversion *version)
{
	if (version->collector != PYVERSION_BY_NUMBER)
		return version->collector;
	if ((version->minor == 14 && version->micro < 5) ||
	    (version->minor == 15 && version->alpha))
		return PYVERSION_INCREMENTAL;
	return PYVERSION_GENERATIONS;
}

enum recipe recipe_for(const struct pyversion *version)
{
	enum pyversion_collector collector = recipe_collector(version);

	if (collector == PYVERSION_OTHER || version->minor > PYVERSION_TUNED)
		return RECIPE_UNKNOWN;
	if (version->free_threaded) {
		if (version->minor < 14 || (version->minor == 14 && version->micro < 3))
			return RECIPE_OBSERVE;
		return RECIPE_THRESHOLDS;
	}
	return collector == PYVERSION_INCREMENTAL ? RECIPE_PREFORK : RECIPE_FREEZE;
}

const char *recipe_refuses(const struct pyversion *version)
{
	bool other = recipe_collector(version) == PYVERSION_OTHER;

	switch (recipe_for(version)) {
	case RECIPE_UNKNOWN:
		if (version->minor <= PYVERSION_TUNED)
			return "this Python's collector is none of those that are known";
		return other ? "CPython " PYVERSION_UNTESTED
			       "'s collector is not known yet: it is not that of 3.15"
			     : "CPython " PYVERSION_UNTESTED "'s collector is not known yet";
	case RECIPE_OBSERVE:
		return "this free-threaded Python is slower with frozen objects";
	default:
		return NULL;
	}
}

const char *recipe_no_marks(const struct pyversion *version)
{
	enum recipe recipe = recipe_for(version);

	if (recipe == RECIPE_UNKNOWN)
		return "not concurrent: it needs a collector that is known";
	if (version->free_threaded)
		return "not concurrent: it needs the lists of objects that a free-threaded Python "
		       "has not";
	if (version->minor < 8)
		return "not concurrent: it needs Python 3.8 or later";
	if (recipe != RECIPE_FREEZE)
		return "not concurrent: it needs another collector than the incremental one of "
		       "3.14.0 to 3.14.4 and of 3.15's alphas";
	return NULL;
}

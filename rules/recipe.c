/* SPDX-License-Identifier: MIT */
#include "rules/recipe.h"

#include <stddef.h>

enum recipe recipe_for(const struct pyversion *version)
{
	if (version->free_threaded) {
		if (version->minor < 14 || (version->minor == 14 && version->micro < 3))
			return RECIPE_OBSERVE;
		return RECIPE_THRESHOLDS;
	}
	/* The incremental collector; 3.14.5 and 3.15.0b1 went back to generations. */
	if ((version->minor == 14 && version->micro < 5) ||
	    (version->minor == 15 && version->alpha))
		return RECIPE_THRESHOLDS;
	return RECIPE_FREEZE;
}

const char *recipe_no_marks(const struct pyversion *version)
{
	if (version->free_threaded)
		return "not concurrent: it needs the lists of objects that a free-threaded Python "
		       "has not";
	if (version->minor < 8)
		return "not concurrent: it needs Python 3.8 or later";
	if (recipe_for(version) != RECIPE_FREEZE)
		return "not concurrent: it needs another collector than the incremental one of "
		       "3.14.0 to 3.14.4 and of 3.15's alphas";
	return NULL;
}

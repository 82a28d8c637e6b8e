/* SPDX-License-Identifier: MIT */
#include "rules/recipe.h"

enum recipe recipe_for(const struct pyversion *version)
{
	if (version->free_threaded) {
		if (version->minor < 14 || (version->minor == 14 && version->micro < 3))
			return RECIPE_OBSERVE;
		return RECIPE_THRESHOLDS;
	}
	/* The incremental collector; 3.14.5 went back to generations. */
	if (version->minor == 14 && version->micro < 5)
		return RECIPE_THRESHOLDS;
	return RECIPE_FREEZE;
}

/* SPDX-License-Identifier: MIT */
/* What is done to the collector of each CPython (DESIGN.md, "What is done to which collector"). */
#ifndef GCPRELOAD_RULES_RECIPE_H
#define GCPRELOAD_RULES_RECIPE_H

#include "rules/pyversion.h"

enum recipe {
	RECIPE_OBSERVE,	   /* tuning would make it worse */
	RECIPE_THRESHOLDS, /* freeze costs a walk of the heap: only before a fork */
	RECIPE_FREEZE,
};

/* Of a version that is supported. */
enum recipe recipe_for(const struct pyversion *version);

/* Why mode concurrent cannot be used there, or NULL: it reads the collector's lists, which not all
 * have. Where it cannot, mode idle is used. */
const char *recipe_no_marks(const struct pyversion *version);

#endif

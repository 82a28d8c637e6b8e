/* SPDX-License-Identifier: MIT */
/* What is done to the collector of each CPython (DESIGN.md, "What is done to which collector"). */
#ifndef GCPRELOAD_RULES_RECIPE_H
#define GCPRELOAD_RULES_RECIPE_H

#include <stdint.h>

#include "base/vocabulary.h"
#include "rules/pyversion.h"

enum recipe {
	RECIPE_UNKNOWN,	   /* what tuning would do is not known */
	RECIPE_OBSERVE,	   /* tuning would make it worse */
	RECIPE_PREFORK,	   /* only freeze before a fork: raised thresholds make it worse */
	RECIPE_THRESHOLDS, /* freeze costs a walk of the heap: only before a fork */
	RECIPE_FREEZE,
};

/* What the gc module shows of its collector. */
struct recipe_shown {
	int32_t thresholds[GCPRELOAD_GENERATIONS]; /* before anybody has set them */
	int64_t generations;			   /* of gc.get_stats() */
	/* How much gc.get_count() grew by RECIPE_MADE new objects; asked from the first version on
	 * that is not known. */
	int64_t counted;
};

#define RECIPE_MADE 64

/* Distributions change collectors without a new number, and -X gc chooses one: what is shown
 * counts, not the number. */
void recipe_recognise(struct pyversion *version, const struct recipe_shown *shown);

/* Puts an interpreter's own thresholds in the place of those that are none of any version. */
void recipe_own_thresholds(const struct pyversion *version,
			   int32_t thresholds[GCPRELOAD_GENERATIONS]);

/* Of a version that is supported. */
enum recipe recipe_for(const struct pyversion *version);

/* Why nothing is done to it, or NULL. */
const char *recipe_refuses(const struct pyversion *version);

/* Why mode concurrent cannot be used there, or NULL: it reads the collector's lists, which not all
 * have. Where it cannot, mode idle is used. */
const char *recipe_no_marks(const struct pyversion *version);

#endif

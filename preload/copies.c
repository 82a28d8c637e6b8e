/* SPDX-License-Identifier: MIT */
#include "preload/copies.h"

/* Exported: what every copy finds under this name is the first one's. */
extern const char gcpreload_first_copy;

static const char copies_own;
extern const char gcpreload_first_copy __attribute__((alias("copies_own"), visibility("default")));

bool copies_first(void)
{
	const char *first = &gcpreload_first_copy, *own = &copies_own;

	/* The compiler must not conclude from the line above that they are the same. */
	__asm__("" : "+r"(first), "+r"(own));
	return first == own;
}

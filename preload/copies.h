/* SPDX-License-Identifier: MIT */
/*
 * Several copies of this library in one process: an image brings one, and the pod another, of
 * another version perhaps. Two would count every collection twice, and each would find the other's
 * frozen objects.
 */
#ifndef GCPRELOAD_PRELOAD_COPIES_H
#define GCPRELOAD_PRELOAD_COPIES_H

#include <stdbool.h>

/* Whether this is the first of them in the order in which ld.so looks for symbols. */
bool copies_first(void);

#endif

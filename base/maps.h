/* SPDX-License-Identifier: MIT */
/* What an address of this process lies in, by /proc/self/maps: no allocation, no stdio. */
#ifndef GCPRELOAD_BASE_MAPS_H
#define GCPRELOAD_BASE_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maps_place {
	uintptr_t low, high;
	const char *name; /* of the file, in text; "" where there is none */
};

/* Returns false where the address is not mapped, or nothing can be read. */
bool maps_find(const void *address, struct maps_place *place, char *text, size_t size);

#endif

/* SPDX-License-Identifier: MIT */
/* FNV-1a (Fowler, Noll, Vo): short names to places. Not against an adversary. */
#ifndef GCPRELOAD_BASE_FNV_H
#define GCPRELOAD_BASE_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_32 2166136261u
#define FNV_64 14695981039346656037u

/* hash: FNV_32 to begin with, or what the bytes before had. */
static inline uint32_t fnv_32(uint32_t hash, const void *bytes, size_t n)
{
	const unsigned char *byte = bytes;

	while (n--)
		hash = (hash ^ *byte++) * 16777619u;
	return hash;
}

static inline uint64_t fnv_64(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *byte = bytes;

	while (n--)
		hash = (hash ^ *byte++) * 1099511628211u;
	return hash;
}

#endif

/* SPDX-License-Identifier: MIT */
#include "rules/sample.h"

#include <stdint.h>

#include "base/fnv.h"

#define MILLION 1000000u

bool sample_is_asked(const struct gcpreload_settings *settings)
{
	return settings->sample < MILLION && settings->mode >= GCPRELOAD_MODE_FREEZE;
}

/* FNV-1a, and a last mixing (of MurmurHash3), because names of pods differ in their ends. */
static uint32_t sample_place(const void *bytes, size_t n)
{
	uint64_t hash = fnv_64(FNV_64, bytes, n);

	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdull;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53ull;
	hash ^= hash >> 33;
	return (uint32_t)(hash % MILLION);
}

enum gcpreload_sample sample_decide(const struct gcpreload_settings *settings, const void *who,
				    size_t n)
{
	if (!sample_is_asked(settings))
		return GCPRELOAD_SAMPLE_NONE;
	return sample_place(who, n) < settings->sample ? GCPRELOAD_SAMPLE_TUNED
						       : GCPRELOAD_SAMPLE_UNTUNED;
}

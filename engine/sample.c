/* SPDX-License-Identifier: MIT */
#include "engine/sample.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ring/writer.h"

#define MILLION 1000000u

/* FNV-1a, and a last mixing (of MurmurHash3), because names of pods differ in their ends. */
static uint32_t sample_place(const void *bytes, size_t n)
{
	const unsigned char *byte = bytes;
	uint64_t hash = 14695981039346656037ull;

	while (n--)
		hash = (hash ^ *byte++) * 1099511628211ull;
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdull;
	hash ^= hash >> 33;
	hash *= 0xc4ceb9fe1a85ec53ull;
	hash ^= hash >> 33;
	return (uint32_t)(hash % MILLION);
}

enum gcpreload_sample sample_decide(const struct gcpreload_settings *settings)
{
	struct {
		int64_t pid;
		uint64_t now;
	} process;
	struct utsname name;
	uint32_t place;

	if (settings->sample >= MILLION || settings->mode < GCPRELOAD_MODE_FREEZE)
		return GCPRELOAD_SAMPLE_NONE;
	if (settings->sample_by_process) {
		process.pid = syscall(SYS_getpid);
		process.now = gcpreload_now_ns();
		place = sample_place(&process, sizeof process);
	} else {
		if (uname(&name) < 0)
			return GCPRELOAD_SAMPLE_UNTUNED;
		place = sample_place(name.nodename, strlen(name.nodename));
	}
	return place < settings->sample ? GCPRELOAD_SAMPLE_TUNED : GCPRELOAD_SAMPLE_UNTUNED;
}

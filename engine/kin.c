/* SPDX-License-Identifier: MIT */
#include "engine/kin.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/machine.h"
#include "engine/process.h"
#include "ring/family.h"

static struct {
	bool known;
	int32_t pid; /* of the parent */
	uint64_t start_time;
	void *held;
} kin;

void kin_begin(void)
{
	kin.known = false;
}

static bool kin_have_place(void)
{
	if (!kin.known) {
		kin.known = true;
		kin.pid = (int32_t)syscall(SYS_getppid);
		kin.start_time = machine_start_time(kin.pid);
	}
	return gcpreload_ring_published();
}

int kin_lock(void)
{
	if (!kin_have_place())
		return -ENOENT;
	return gcpreload_family_lock(&process_place, kin.pid, kin.start_time);
}

void kin_unlock(int fd)
{
	gcpreload_family_unlock(fd, &process_place, kin.pid, kin.start_time);
}

int kin_hold(void)
{
	int error;

	if (!kin_have_place())
		return -ENOENT;
	kin.held = gcpreload_family_hold(&process_place, kin.pid, kin.start_time, &error);
	return error;
}

void kin_keep(void)
{
	if (kin.held)
		madvise(kin.held, GCPRELOAD_FAMILY_SIZE, MADV_DONTFORK);
}

void kin_release(void)
{
	if (kin.held)
		gcpreload_family_release(kin.held, &process_place, kin.pid, kin.start_time);
	kin.held = NULL;
}

void kin_forget(void)
{
	kin.held = NULL;
}

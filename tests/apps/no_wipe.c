/* SPDX-License-Identifier: MIT */
/* A kernel that does not know MADV_WIPEONFORK: before 4.14, and in some sandboxes. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int madvise(void *address, size_t length, int advice)
{
	if (advice == MADV_WIPEONFORK) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_madvise, address, length, advice);
}

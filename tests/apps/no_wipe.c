/* SPDX-License-Identifier: MIT */
/* A kernel that does not know MADV_WIPEONFORK: before 4.14, and in some sandboxes. With SAYS_YES an
 * emulator that takes any advice and does nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int madvise(void *address, size_t length, int advice)
{
	if (getenv("SAYS_YES"))
		return 0;
	if (advice == MADV_WIPEONFORK) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_madvise, address, length, advice);
}

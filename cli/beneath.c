/* SPDX-License-Identifier: MIT */
#include "cli/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FLAGS	  (O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
#define RACE_LOST 10 /* EAGAIN: something on the way was renamed meanwhile */

/* As linux/openat2.h has them, which headers older than Linux 5.6 lack. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define BENEATH_NO_LINKS 0x0e /* RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS */
#define IN_ROOT		 0x12 /* RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS */

struct how {
	uint64_t flags;
	uint64_t mode;
	uint64_t resolve;
};

/* The next component into name. Returns what is behind it, or NULL at the end. */
static const char *beneath_component(const char *path, char name[NAME_MAX + 1])
{
	size_t n;

	path += strspn(path, "/");
	n = strcspn(path, "/");
	if (!n)
		return NULL;
	if (n > NAME_MAX)
		n = NAME_MAX; /* one that exists is not so long */
	memcpy(name, path, n);
	name[n] = '\0';
	return path + strcspn(path, "/");
}

static int is_link(int dir, const char *name)
{
	char target;

	return readlinkat(dir, name, &target, 1) >= 0;
}

int beneath_walk(int root, const char *path)
{
	int fd = openat(root, ".", FLAGS), next;
	char name[NAME_MAX + 1];

	while (fd >= 0 && (path = beneath_component(path, name))) {
		int saved_errno;

		if (strcmp(name, "..") == 0) {
			next = -1;
			errno = EXDEV;
		} else {
			/* A link with O_DIRECTORY is ENOTDIR, whatever it leads to. */
			next = openat(fd, name, FLAGS);
			if (next < 0 && errno == ENOTDIR)
				errno = is_link(fd, name) ? ELOOP : ENOTDIR;
		}
		saved_errno = errno;
		close(fd);
		errno = saved_errno;
		fd = next;
	}
	return fd;
}

int beneath_open(int root, const char *path)
{
	struct how how = { .flags = FLAGS & ~O_NOFOLLOW, /* ELOOP of its own */
			   .resolve = BENEATH_NO_LINKS };
	char name[NAME_MAX + 1];
	const char *rest, *below = path + strspn(path, "/");
	int tries, fd;

	for (rest = path; (rest = beneath_component(rest, name));)
		if (strcmp(name, "..") == 0) {
			errno = EXDEV;
			return -1;
		}
	for (tries = 0; tries < RACE_LOST; tries++) {
		fd = (int)syscall(SYS_openat2, root, *below ? below : ".", &how, sizeof how);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	/* Old kernels, and seccomp filters that say so of what they do not know. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EAGAIN))
		return beneath_walk(root, path);
	return fd;
}

int beneath_open_as_seen(int root, const char *path)
{
	struct how how = { .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
			   .resolve = IN_ROOT };
	int tries, fd = -1;

	for (tries = 0; tries < RACE_LOST; tries++) {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

/* SPDX-License-Identifier: MIT */
#include "cli/locate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/memory.h"

/* The directory of this executable, without a slash at its end. */
static int own_directory(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (n <= 0)
		return -1;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return -1;
	*slash = '\0';
	return 0;
}

int locate_beside(char *out, size_t size, const char *name)
{
	char own[4096];

	if (own_directory(own, sizeof own) < 0 ||
	    snprintf(out, size, "%s/%s", own, name) >= (int)size)
		return -1;
	return access(out, F_OK);
}

/* ld.so separates LD_PRELOAD at spaces and colons, and knows no way to quote them. */
static int check_path(const char *path, char **why)
{
	if (!strpbrk(path, " :\t\n"))
		return 0;
	*why = format_text("%s: LD_PRELOAD does not allow spaces and colons in a path; copy the "
			   "library and this command to a directory without them",
			   path);
	return -1;
}

int locate_library(char *out, size_t size, char **why)
{
	char *resolved;

	if (locate_beside(out, size, LOCATE_LIBRARY) < 0 &&
	    locate_beside(out, size, "../lib/" LOCATE_LIBRARY) < 0) {
		snprintf(out, size, "%s/%s", GCPRELOAD_LIBDIR, LOCATE_LIBRARY);
		if (access(out, F_OK) < 0) {
			*why = format_text("%s: not found next to this command, in ../lib or in "
					   "%s; run make install, or copy both into one directory",
					   LOCATE_LIBRARY, GCPRELOAD_LIBDIR);
			return -1;
		}
	}
	if (access(out, R_OK) < 0) {
		*why = format_text("%s: cannot be read: %s; check its permissions", out,
				   strerror(errno));
		return -1;
	}
	resolved = realpath(out, NULL);
	if (resolved)
		snprintf(out, size, "%s", resolved);
	free(resolved);
	return check_path(out, why);
}

static int locate_is_executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == EACCES ? -EACCES : -ENOENT;
	if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return -EACCES;
	return 0;
}

int locate_program(char *out, size_t size, const char *name, const char *path)
{
	const char *end;
	int ret = -ENOENT, one;

	if (strchr(name, '/')) {
		if (snprintf(out, size, "%s", name) >= (int)size)
			return -ENOENT;
		return locate_is_executable(out);
	}
	if (!*name)
		return -ENOENT;
	if (!path)
		path = "/bin:/usr/bin";
	for (;; path = end + 1) {
		end = strchrnul(path, ':');
		if (snprintf(out, size, "%.*s%s%s", (int)(end - path), path,
			     end == path ? "./" : "/", name) < (int)size) {
			one = locate_is_executable(out);
			if (one == 0)
				return 0;
			if (one == -EACCES)
				ret = -EACCES;
		}
		if (!*end)
			return ret;
	}
}

/* SPDX-License-Identifier: MIT */
#include "cli/locate.h"

#include <dirent.h>
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

/* In a directory of Python packages, put there by pip. Not that of another version: each Python of
 * a prefix has such a directory, and the command is of the one that pip was called for last. */
static int locate_in_packages(char *out, size_t size, const char *packages)
{
	char info[4200];

	if (snprintf(info, sizeof info, "%s/gcpreload-" GCPRELOAD_VERSION ".dist-info", packages) >=
		(int)sizeof info ||
	    access(info, F_OK) < 0 ||
	    snprintf(out, size, "%s/gcpreload/lib/" LOCATE_LIBRARY, packages) >= (int)size)
		return -1;
	return access(out, F_OK);
}

/* Below PREFIX/lib: pythonX.Y/site-packages, or what Debian's own pip has. */
static int locate_in_pythons(char *out, size_t size, const char *lib)
{
	static const char *const names[] = { "site-packages", "dist-packages" };
	const struct dirent *entry;
	DIR *dir = opendir(lib);
	char packages[4096];
	int ret = -1;
	size_t i;

	while (dir && ret < 0 && (entry = readdir(dir)))
		for (i = 0; ret < 0 && i < sizeof names / sizeof names[0]; i++)
			if (strncmp(entry->d_name, "python", 6) == 0 &&
			    snprintf(packages, sizeof packages, "%s/%s/%s", lib, entry->d_name,
				     names[i]) < (int)sizeof packages)
				ret = locate_in_packages(out, size, packages);
	if (dir)
		closedir(dir);
	return ret;
}

/* Where pip has put the library, with this command in PREFIX/bin; or with --target both below one
 * directory. */
static int locate_packaged(char *out, size_t size)
{
	static const char *const libs[] = { "../lib", "../lib64" };
	char own[4000], path[4096];
	int ret;
	size_t i;

	if (own_directory(own, sizeof own) < 0)
		return -1;
	snprintf(path, sizeof path, "%s/..", own);
	ret = locate_in_packages(out, size, path);
	for (i = 0; ret < 0 && i < sizeof libs / sizeof libs[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", own, libs[i]);
		ret = locate_in_pythons(out, size, path);
	}
	return ret;
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

static char *locate_not_here(void)
{
#ifdef GCPRELOAD_COMMAND_ALONE /* the wheel for musl */
	return format_text("%s: not in this package, which is for musl (Alpine, for example): the "
			   "library is for glibc; use an image with glibc, such as python:3-slim",
			   LOCATE_LIBRARY);
#else
	return format_text("%s: not found next to this command, in ../lib, among Python's packages "
			   "or in %s; run make install or pip install, or copy both into one "
			   "directory",
			   LOCATE_LIBRARY, GCPRELOAD_LIBDIR);
#endif
}

int locate_library(char *out, size_t size, char **why)
{
	char *resolved;

	if (locate_beside(out, size, LOCATE_LIBRARY) < 0 && locate_packaged(out, size) < 0 &&
	    locate_beside(out, size, "../lib/" LOCATE_LIBRARY) < 0) {
		snprintf(out, size, "%s/%s", GCPRELOAD_LIBDIR, LOCATE_LIBRARY);
		if (access(out, F_OK) < 0) {
			*why = locate_not_here();
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

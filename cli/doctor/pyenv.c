/* SPDX-License-Identifier: MIT */
#include "cli/doctor/pyenv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/small_file.h"
#include "cli/locate.h"
#include "cli/memory.h"

/* The versions of a file .python-version here or above, or NULL. */
static char *versions_of_directory(void)
{
	char path[4200], text[1024], *slash;
	char *here = getcwd(NULL, 0);

	while (here) {
		snprintf(path, sizeof path, "%s/.python-version", here);
		if (small_file_read(path, text, sizeof text) > 0) {
			free(here);
			return memory_need(strdup(text));
		}
		slash = strrchr(here, '/');
		if (!slash || here[0] == '\0')
			break;
		*slash = '\0';
	}
	free(here);
	return NULL;
}

static char *chosen_versions(const char *root)
{
	char path[4200], text[1024], *versions;

	if (getenv("PYENV_VERSION") && *getenv("PYENV_VERSION"))
		return memory_need(strdup(getenv("PYENV_VERSION")));
	versions = versions_of_directory();
	if (versions)
		return versions;
	snprintf(path, sizeof path, "%s/version", root);
	if (small_file_read(path, text, sizeof text) > 0)
		return memory_need(strdup(text));
	return memory_need(strdup("system"));
}

/* PATH without the directory of the shims. */
static int locate_system(char *out, size_t size, const char *name, const char *shims)
{
	const char *path = getenv("PATH"), *end;
	size_t n = strlen(shims);

	for (; path; path = *end ? end + 1 : NULL) {
		end = strchrnul(path, ':');
		if ((size_t)(end - path) == n && strncmp(path, shims, n) == 0)
			continue;
		snprintf(out, size, "%.*s/%s", (int)(end - path), path, name);
		if (access(out, X_OK) == 0)
			return 0;
	}
	return -1;
}

int pyenv_resolve(const char *shim, char *out, size_t size)
{
	char root[4096], *name, *versions, *version, *rest;
	int ret = -1;

	if (snprintf(root, sizeof root, "%s", shim) >= (int)sizeof root)
		return -1;
	name = strrchr(root, '/');
	if (!name || name - root < 7 || strncmp(name - 6, "/shims", 6) != 0)
		return -1;
	*name++ = '\0';
	if (!strstr(root, "pyenv"))
		return -1;
	name[-7] = '\0'; /* "/shims" */
	versions = chosen_versions(root);
	for (version = strtok_r(versions, ": \n", &rest); version && ret < 0;
	     version = strtok_r(NULL, ": \n", &rest)) {
		if (strcmp(version, "system") == 0) {
			char *shims = format_text("%s/shims", root);

			ret = locate_system(out, size, name, shims);
			free(shims);
			continue;
		}
		snprintf(out, size, "%s/versions/%s/bin/%s", root, version, name);
		ret = access(out, X_OK);
	}
	free(versions);
	return ret;
}

/* SPDX-License-Identifier: MIT */
#include "preload/attach.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "inject/inject.h"
#include "preload/agenda.h"
#include "preload/configure.h"
#include "preload/entry.h"
#include "preload/late.h"
#include "preload/look.h"

#define EXPORT	      __attribute__((visibility("default")))
#define SETTINGS_ROOM 4096
#define VARIABLES     4096

/* ------------------------------------------------------------------ settings over an environment
 */

static char lines[SETTINGS_ROOM];
static char *merged[VARIABLES];

/* Cuts the text into lines at the beginning of merged. Returns how many, or -errno. */
static int attach_cut(const char *text)
{
	char *line, *rest = lines;
	int n = 0;

	if (!text || strlen(text) >= sizeof lines)
		return text ? -E2BIG : -EINVAL;
	strcpy(lines, text);
	while ((line = strsep(&rest, "\n"))) {
		if (!*line)
			continue;
		if (*line == '=' || !strchr(line, '='))
			return -EINVAL;
		if (n == VARIABLES / 2)
			return -E2BIG;
		merged[n++] = line;
	}
	return n;
}

static bool attach_is_given(const char *variable, int n)
{
	size_t length = strcspn(variable, "=") + 1;
	int i;

	for (i = 0; i < n; i++)
		if (strncmp(merged[i], variable, length) == 0)
			return true;
	return false;
}

/* What is given stands in the place of what the process was started with. */
static int attach_merge(const char *text)
{
	int given = attach_cut(text), n = given;
	char **e;

	if (given < 0)
		return given;
	for (e = environ; e && *e; e++) {
		if (n == VARIABLES - 1)
			return -E2BIG;
		if (!attach_is_given(*e, given))
			merged[n++] = *e;
	}
	merged[n] = NULL;
	return 0;
}

/* ------------------------------------------------------------------ in and out */

static int attach_find_python(void)
{
	void *handle;

	return late_find_python(&handle) ? gcpreload_inject_may_attach(handle) : -ENODEV;
}

static int attach_leave(int ret)
{
	int left = gcpreload_engine_detach();

	if (left == 0)
		configure_detached();
	return ret ? ret : left;
}

/* As if it had become ready in this moment: whoever attaches to a server knows that it serves. */
static int attach_begin(void)
{
	int ret;

	entry_start();
	look_from_now_on(LOOK_NEVER);
	gcpreload_engine_attaches();
	if (!gcpreload_inject_attach()) {
		configure_detached();
		return -ENOSYS;
	}
	ret = gcpreload_engine_attached();
	if (ret < 0)
		return attach_leave(ret);
	agenda_attached();
	agenda_at_wait();
	return 0;
}

EXPORT int gcpreload_attach(const char *settings)
{
	int saved_errno = errno, ret = configure_may_attach() ? attach_find_python() : -EALREADY;

	if (ret == 0)
		ret = attach_merge(settings);
	if (ret == 0)
		ret = configure_attach(merged);
	if (ret == 0)
		ret = attach_begin();
	errno = saved_errno;
	return ret;
}

EXPORT int gcpreload_detach(void)
{
	int saved_errno = errno, ret = -ENOENT;

	if (configure_attached())
		ret = gcpreload_inject_may_act();
	if (ret == 0) {
		entry_begin_if_new();
		ret = attach_leave(0);
	}
	errno = saved_errno;
	return ret;
}

/* SPDX-License-Identifier: MIT */
#include "preload/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc_stat.h"
#include "base/read.h"
#include "base/small_file.h"
#include "ring/raw.h"
#include "rules/command_line.h"

#define MAPS_MAX (8u << 20) /* 65 530 mappings, the kernel's own limit, have about as much */

static void read_command_line(const char *path, char command[COMMAND_LINE_MAX])
{
	ssize_t length = small_file_read(path, command, COMMAND_LINE_MAX), i;

	while (length > 0 && !command[length - 1])
		length--;
	for (i = 0; i < length; i++)
		if (!command[i])
			command[i] = ' ';
	if (length <= 0)
		command[0] = '\0';
}

static char own_command[COMMAND_LINE_MAX];

void origin_note(int argc, char *const *argv)
{
	size_t n = 0, length;
	int i;

	for (i = 0; i < argc && argv[i] && n < sizeof own_command - 1; i++) {
		if (i)
			own_command[n++] = ' ';
		length = strnlen(argv[i], sizeof own_command - 1 - n);
		memcpy(own_command + n, argv[i], length);
		n += length;
	}
	own_command[n] = '\0';
}

const char *origin_own(void)
{
	if (!own_command[0])
		read_command_line("/proc/self/cmdline", own_command);
	return own_command;
}

/* Not by its environment, over which servers write their titles. */
static bool maps_library(int maps)
{
	static const char name[] = "/libgcpreload.so";
	char buffer[4096];
	size_t kept = 0, seen = 0;
	ssize_t n;

	while (seen < MAPS_MAX &&
	       (n = gcpreload_read(maps, buffer + kept, sizeof buffer - kept)) > 0) {
		seen += (size_t)n;
		n += (ssize_t)kept;
		if (memmem(buffer, (size_t)n, name, sizeof name - 1))
			return true;
		kept = (size_t)n < sizeof name ? (size_t)n : sizeof name;
		memmove(buffer, buffer + n - kept, kept);
	}
	return false;
}

static bool is_ours(pid_t pid)
{
	char path[64];
	struct stat st;
	bool ours;
	int maps;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	maps = open(path, O_RDONLY | O_CLOEXEC);
	if (maps < 0)
		return false;
	ours = ring_stat_fd(maps, &st) == 0 && st.st_uid == geteuid() && maps_library(maps);
	close(maps);
	return ours;
}

static pid_t parent_of(pid_t pid)
{
	struct proc_stat stat;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	proc_stat_read(path, &stat);
	return stat.parent;
}

static pid_t parent_with_line(void *unused, pid_t pid, char line[COMMAND_LINE_MAX])
{
	pid_t parent = parent_of(pid);
	char path[64];

	(void)unused;
	if (parent <= 0 || !is_ours(parent))
		return 0;
	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)parent);
	read_command_line(path, line);
	return parent;
}

const char *origin_named(void)
{
	static char command[COMMAND_LINE_MAX];
	static bool looked;

	if (!looked && command_line_is_nameless(origin_own()))
		command_line_of_ancestor(command, getpid(), parent_with_line, NULL);
	looked = true;
	return command;
}

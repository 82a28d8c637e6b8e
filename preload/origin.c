/* SPDX-License-Identifier: MIT */
#include "preload/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ring/raw.h"

#define COMMAND_MAX 4096
#define ANCESTORS   8
#define MAPS_MAX    (8u << 20) /* 65 530 mappings, the kernel's own limit, have about as much */

ssize_t origin_slurp(const char *path, char *buffer, size_t size)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	size_t length = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (length < size - 1) {
		n = read(fd, buffer + length, size - 1 - length);
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	n = n < 0 ? -errno : (ssize_t)length;
	close(fd);
	buffer[length] = '\0';
	return n;
}

static void read_command_line(const char *path, char command[COMMAND_MAX])
{
	ssize_t length = origin_slurp(path, command, COMMAND_MAX), i;

	while (length > 0 && !command[length - 1])
		length--;
	for (i = 0; i < length; i++)
		if (!command[i])
			command[i] = ' ';
	if (length <= 0)
		command[0] = '\0';
}

const char *origin_own(void)
{
	static char command[COMMAND_MAX];

	if (!command[0])
		read_command_line("/proc/self/cmdline", command);
	return command;
}

static bool is_nameless(const char *command)
{
	static const char *const marks[] = {
#define NAMELESS(text) text,
#include "rules/nameless.def"
#undef NAMELESS
	};
	size_t i;

	for (i = 0; i < sizeof marks / sizeof *marks; i++)
		if (strstr(command, marks[i]))
			return true;
	return false;
}

/* Not by its environment, over which servers write their titles. */
static bool maps_library(int maps)
{
	static const char name[] = "/libgcpreload.so";
	char buffer[4096];
	size_t kept = 0, seen = 0;
	ssize_t n;

	while (seen < MAPS_MAX && (n = read(maps, buffer + kept, sizeof buffer - kept)) > 0) {
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

/* proc(5): the name, in parentheses, may hold any byte; behind it come the state and the parent. */
static pid_t parent_of(pid_t pid)
{
	char path[64], stat[512], *end;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (origin_slurp(path, stat, sizeof stat) <= 0)
		return 0;
	end = strrchr(stat, ')');
	return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

static void find_named(char command[COMMAND_MAX])
{
	char path[64];
	pid_t pid = getppid();
	int i;

	for (i = 0; i < ANCESTORS && pid > 0 && is_ours(pid); i++, pid = parent_of(pid)) {
		snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
		read_command_line(path, command);
		if (!is_nameless(command))
			return;
	}
	command[0] = '\0';
}

const char *origin_named(void)
{
	static char command[COMMAND_MAX];
	static bool looked;

	if (!looked && is_nameless(origin_own()))
		find_named(command);
	looked = true;
	return command;
}

/* SPDX-License-Identifier: MIT */
#include "ring/identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Reads the beginning of a small file into a NUL-terminated buffer; returns its length. */
static size_t slurp(const char *path, char *buffer, size_t size)
{
	size_t length = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		while (length < size - 1) {
			n = read(fd, buffer + length, size - 1 - length);
			if (n <= 0)
				break;
			length += (size_t)n;
		}
		close(fd);
	}
	buffer[length] = '\0';
	return length;
}

/* proc(5): field 2 is the command in parentheses and may hold any byte, so count from its end. */
static uint64_t start_time(void)
{
	char stat[1024], *p;
	int field;

	slurp("/proc/self/stat", stat, sizeof stat);
	p = strrchr(stat, ')');
	for (field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

static uint64_t pid_namespace(void)
{
	char link[64];
	ssize_t n = readlink("/proc/self/ns/pid", link, sizeof link - 1);

	if (n <= 5 || memcmp(link, "pid:[", 5) != 0)
		return 0;
	link[n] = '\0';
	return strtoull(link + 5, NULL, 10);
}

static void command(char *out, size_t size)
{
	size_t length = slurp("/proc/self/cmdline", out, size), i;

	while (length && (out[length - 1] == '\0' || out[length - 1] == ' '))
		length--;
	out[length] = '\0';
	for (i = 0; i < length; i++)
		if (!out[i])
			out[i] = ' ';
}

/* cgroups(7): the line "0::PATH" is version 2's; before it, any hierarchy names the container. */
static void cgroup(char *out, size_t size)
{
	char text[2048], *line, *end;

	slurp("/proc/self/cgroup", text, sizeof text);
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (line)
		line = strstr(line, "::") + 2;
	if (!line || *line != '/' || line[1] == '\n' || !line[1]) {
		char *first = strchr(text, ':');

		first = first ? strchr(first + 1, ':') : NULL;
		if (first)
			line = first + 1;
	}
	if (!line)
		return;
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	strncpy(out, line, size - 1);
}

void ring_identity_fill(struct gcpreload_header *header)
{
	header->pid = (int32_t)syscall(SYS_getpid);
	header->ppid = (int32_t)syscall(SYS_getppid);
	header->uid = geteuid();
	header->pid_namespace = pid_namespace();
	header->start_time = start_time();
	gethostname(header->hostname, sizeof header->hostname - 1);
	command(header->command, sizeof header->command);
	cgroup(header->cgroup, sizeof header->cgroup);
}

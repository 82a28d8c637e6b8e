/* SPDX-License-Identifier: MIT */
#include "ring/identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/proc_stat.h"
#include "base/small_file.h"

static uint64_t identity_pid_namespace(void)
{
	char link[64];
	ssize_t n = readlink("/proc/self/ns/pid", link, sizeof link - 1);

	if (n <= 5 || memcmp(link, "pid:[", 5) != 0)
		return 0;
	link[n] = '\0';
	return strtoull(link + 5, NULL, 10);
}

static void identity_command(char *out, size_t size)
{
	ssize_t length = small_file_read("/proc/self/cmdline", out, size), i;

	while (length > 0 && (out[length - 1] == '\0' || out[length - 1] == ' '))
		length--;
	if (length >= 0)
		out[length] = '\0';
	for (i = 0; i < length; i++)
		if (!out[i])
			out[i] = ' ';
}

/* cgroups(7): the line "0::PATH" is version 2's; before it, any hierarchy names the container. */
void ring_identity_cgroup(char *out, size_t size)
{
	char text[2048], *line, *end;

	out[0] = '\0';
	small_file_read("/proc/self/cgroup", text, sizeof text);
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
	out[size - 1] = '\0';
}

void ring_identity_fill(struct gcpreload_header *header)
{
	struct proc_stat stat;

	header->pid = (int32_t)syscall(SYS_getpid);
	header->ppid = (int32_t)syscall(SYS_getppid);
	header->uid = geteuid();
	header->pid_namespace = identity_pid_namespace();
	proc_stat_read("/proc/self/stat", &stat);
	header->start_time = stat.start_time;
	gethostname(header->hostname, sizeof header->hostname - 1);
	identity_command(header->command, sizeof header->command);
	ring_identity_cgroup(header->cgroup, sizeof header->cgroup);
}

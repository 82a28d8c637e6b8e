/* SPDX-License-Identifier: MIT */
#include "base/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/directory.h"
#include "base/proc_stat.h"
#include "base/read.h"
#include "base/small_file.h"

#define CGROUPS "/sys/fs/cgroup"

/* Of the line "name NUMBER"; 0 where there is none. */
static uint64_t machine_field(const char *text, const char *name)
{
	size_t length = strlen(name);

	while (text) {
		if (strncmp(text, name, length) == 0 && text[length] == ' ')
			return strtoull(text + length + 1, NULL, 10);
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return 0;
}

/* The path of the hierarchy whose line in /proc/self/cgroup has this between its colons. */
static bool machine_own_path(const char *controller, char *path, size_t size)
{
	char text[4096], *line, *colon, *end;

	if (small_file_read("/proc/self/cgroup", text, sizeof text) <= 0)
		return false;
	for (line = text; line && *line; line = end ? end + 1 : NULL) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		colon = strchr(line, ':');
		if (!colon || !strchr(colon + 1, ':'))
			continue;
		line = strchr(colon + 1, ':');
		*line++ = '\0';
		/* "cpu,cpuacct" is one hierarchy of two controllers. */
		if (strcmp(colon + 1, controller) == 0 ||
		    (*controller && strncmp(colon + 1, controller, strlen(controller)) == 0 &&
		     colon[1 + strlen(controller)] == ',')) {
			snprintf(path, size, "%s", strcmp(line, "/") ? line : "");
			return true;
		}
	}
	return false;
}

/* In a container the path may be the host's, and the group itself is what is mounted. */
static bool machine_group_file(const char *controller, const char *name, char *text, size_t size)
{
	char own[1024], path[1400];

	if (!machine_own_path(controller, own, sizeof own))
		return false;
	snprintf(path, sizeof path, CGROUPS "%s%s%s/%s", *controller ? "/" : "", controller, own,
		 name);
	if (small_file_read(path, text, size) > 0)
		return true;
	snprintf(path, sizeof path, CGROUPS "%s%s/%s", *controller ? "/" : "", controller, name);
	return small_file_read(path, text, size) > 0;
}

static uint64_t machine_group_number(const char *controller, const char *name)
{
	char text[64];

	/* "max" is no limit: 0, too. */
	return machine_group_file(controller, name, text, sizeof text) ? strtoull(text, NULL, 10)
								       : 0;
}

static uint64_t machine_group_field(const char *controller, const char *name, const char *key)
{
	char text[4096];

	return machine_group_file(controller, name, text, sizeof text) ? machine_field(text, key)
								       : 0;
}

static uint64_t machine_less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void machine_look_at_group(struct machine *machine)
{
	machine->limit = machine_group_number("", "memory.max");
	machine->throttled_ns = machine_group_field("", "cpu.stat", "throttled_usec") * 1000;
	if (machine->limit) {
		machine->used =
		    machine_less(machine_group_number("", "memory.current"),
				 machine_group_field("", "memory.stat", "inactive_file"));
		return;
	}
	machine->limit = machine_group_number("memory", "memory.limit_in_bytes");
	/* Version 1 says "no limit" by a number no machine has. */
	if (machine->limit >> 60)
		machine->limit = 0;
	if (machine->limit)
		machine->used = machine_less(
		    machine_group_number("memory", "memory.usage_in_bytes"),
		    machine_group_field("memory", "memory.stat", "total_inactive_file"));
	if (!machine->throttled_ns)
		machine->throttled_ns = machine_group_field("cpu", "cpu.stat", "throttled_time");
}

/* The second number of /proc/self/statm. */
static uint64_t machine_resident_of(const char *text)
{
	const char *second = strchr(text, ' ');

	return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

void machine_look(struct machine *machine)
{
	char text[128];

	memset(machine, 0, sizeof *machine);
	if (small_file_read("/proc/self/statm", text, sizeof text) > 0)
		machine->resident = machine_resident_of(text);
	machine_look_at_group(machine);
}

/* open(2) gives the lowest number that is free: so many are in use, at least, and what leaks fills
 * every gap. Counting /proc/self/fd would take a look at each. */
void machine_growth(struct growth *now)
{
	int saved_errno = errno, fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	struct rlimit limit;
	char text[128];
	ssize_t n;

	memset(now, 0, sizeof *now);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		now->files_limit = limit.rlim_cur;
	if (fd >= 0) {
		n = gcpreload_read(fd, text, sizeof text - 1);
		close(fd);
		text[n > 0 ? n : 0] = '\0';
		now->resident = machine_resident_of(text);
		now->files = (uint64_t)fd;
	} else if (errno == EMFILE) {
		now->files = now->files_limit;
	}
	errno = saved_errno;
}

static uint64_t machine_cpu_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t machine_cpu_of_others(void)
{
	uint64_t own = machine_cpu_ns(CLOCK_THREAD_CPUTIME_ID);

	return machine_less(machine_cpu_ns(CLOCK_PROCESS_CPUTIME_ID), own);
}

uint64_t machine_start_time(int pid)
{
	struct proc_stat stat;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	proc_stat_read(path, &stat);
	return stat.start_time;
}

static bool machine_thread_runs(const char *tid)
{
	struct proc_stat stat;
	char path[64];

	snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", tid);
	proc_stat_read(path, &stat);
	return stat.state == 'R' || stat.state == 'D';
}

bool machine_others_run(void)
{
	char buffer[64 * 24] __attribute__((aligned(8))), own[24];
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct directory_entry *entry;
	bool found = false;
	long n, at;

	if (fd < 0)
		return false;
	snprintf(own, sizeof own, "%ld", syscall(SYS_gettid));
	n = directory_read(fd, buffer, sizeof buffer);
	for (at = 0; at < n && !found; at += entry->length) {
		entry = directory_entry_at(buffer, at);
		found = *entry->name != '.' && strcmp(entry->name, own) != 0 &&
			machine_thread_runs(entry->name);
	}
	if (n > 0 && !found)
		found = directory_read(fd, buffer, sizeof buffer) > 0;
	close(fd);
	return found;
}

/* proc(5): a directory's links count its sub-directories, one for each thread. */
bool machine_single_threaded(void)
{
	struct stat st;

	return syscall(SYS_newfstatat, AT_FDCWD, "/proc/self/task", &st, 0) == 0 &&
	       st.st_nlink == 3;
}

bool machine_has_children(void)
{
	int saved_errno = errno, options = WEXITED | WNOHANG | WNOWAIT;
	bool none = syscall(SYS_waitid, P_ALL, 0, NULL, options, NULL) < 0 && errno == ECHILD;

	errno = saved_errno;
	return !none;
}

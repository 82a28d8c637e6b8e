/* SPDX-License-Identifier: MIT */
#include "cli/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/proc_stat.h"
#include "base/small_file.h"
#include "cli/beneath.h"
#include "cli/locate.h"
#include "cli/memory.h"
#include "cli/text.h"

static const char *file_of(char *path, pid_t pid, const char *name)
{
	snprintf(path, 64, "/proc/%d/%s", (int)pid, name);
	return path;
}

ssize_t procfs_slurp_as_seen(pid_t pid, const char *path, char *text, size_t size)
{
	char link[64], whole[4200];
	int root = open(file_of(link, pid, "root"), O_PATH | O_DIRECTORY | O_CLOEXEC), fd, error;

	if (root < 0)
		return -errno;
	fd = beneath_open_as_seen(root, path);
	error = errno;
	close(root);
	if (fd < 0 && (error == ENOSYS || error == EPERM)) { /* old, or a filter of system calls */
		snprintf(whole, sizeof whole, "%s%s", link, path);
		return small_file_read(whole, text, size);
	}
	errno = error;
	return small_file_read_and_close(fd, text, size);
}

static int read_stat(struct procfs *p)
{
	struct proc_stat stat;
	char path[64];
	int ret = proc_stat_read(file_of(path, p->pid, "stat"), &stat);

	if (ret < 0)
		return ret == -ENOENT || ret == -EBADMSG ? -ESRCH : ret;
	if (stat.state == 'Z' || stat.state == 'X')
		return -ESRCH;
	p->ppid = stat.parent;
	p->start_time = stat.start_time;
	return 0;
}

static void read_uid(struct procfs *p)
{
	char path[64], text[4096], *line;

	p->uid = UINT32_MAX;
	if (small_file_read(file_of(path, p->pid, "status"), text, sizeof text) <= 0)
		return;
	line = strstr(text, "\nUid:");
	if (line) {
		strtoul(line + 5, &line, 10);
		p->uid = (uint32_t)strtoul(line, NULL, 10);
	}
}

static ssize_t procfs_read_command(pid_t pid, char *command, size_t size)
{
	char path[64];
	ssize_t n = small_file_read(file_of(path, pid, "cmdline"), command, size), end, i;

	for (end = n; end > 0 && !command[end - 1];)
		end--;
	for (i = 0; i < end; i++)
		if (!command[i])
			command[i] = ' ';
	if (n <= 0)
		command[0] = '\0';
	return end > 0 ? end : 0;
}

void procfs_command_line(pid_t pid, char line[COMMAND_LINE_MAX])
{
	procfs_read_command(pid, line, COMMAND_LINE_MAX);
}

/* Where the dynamic linker has put them; 0: nowhere. */
struct where {
	uint64_t library, libc;
};

/* One file that is mapped. Of the first, its lowest address. */
static void look_at_file(struct procfs *p, const char *path, struct where *where, uint64_t at)
{
	static const char deleted[] = " (deleted)";
	const char *name = text_base_name(path);
	size_t n = strlen(path), m = sizeof deleted - 1;

	if (text_begins(name, "libc.so.") || text_begins(name, "libc-2."))
		where->libc = where->libc ? where->libc : at;
	if (text_begins(name, LOCATE_LIBRARY)) {
		snprintf(p->library, sizeof p->library, "%s", path);
		where->library = where->library ? where->library : at;
	} else if (text_begins(name, "libpython"))
		snprintf(p->python, sizeof p->python, "%s", path);
	else if (text_begins(name, "ld-musl"))
		p->musl = true;
	else if (!strstr(path, "/gcpreload-") || name[0] < '0' || name[0] > '9')
		return;
	else if (n > m && strcmp(path + n - m, deleted) == 0)
		p->ring_removed = true;
	else
		snprintf(p->ring, sizeof p->ring, "%s", path);
}

/* Each library lies below those that were loaded before it, and a preloaded one is loaded first.
 * Told only where the environment, over which a title may be written, does not say otherwise. */
static bool was_loaded_late(pid_t pid, const struct where *where)
{
	char value[4096] = "";

	return where->library && where->library < where->libc &&
	       procfs_environment(pid, "LD_PRELOAD", value, sizeof value) >= 0 &&
	       !strstr(value, "gcpreload");
}

static void read_maps(struct procfs *p)
{
	char path[64], *line = NULL;
	struct where where = { 0, 0 };
	size_t room = 0;
	FILE *maps = fopen(file_of(path, p->pid, "maps"), "re");

	if (!maps)
		return;
	while (getline(&line, &room, maps) > 0) {
		char *file = strchr(line, '/');

		p->maps_read = true;
		if (!file)
			continue;
		file[strcspn(file, "\n")] = '\0';
		look_at_file(p, file, &where, strtoull(line, NULL, 16));
	}
	free(line);
	fclose(maps);
	p->loaded_late = was_loaded_late(p->pid, &where);
}

int procfs_read(struct procfs *p, pid_t pid)
{
	char path[64];
	ssize_t n;
	int ret;

	memset(p, 0, sizeof *p);
	p->pid = pid;
	ret = read_stat(p);
	if (ret < 0)
		return ret;
	read_uid(p);
	n = procfs_read_command(pid, p->command, sizeof p->command);
	while (n > 0 && p->command[n - 1] == ' ')
		p->command[--n] = '\0';
	n = readlink(file_of(path, pid, "exe"), p->exe, sizeof p->exe - 1);
	if (n > 0 && text_begins(text_base_name(p->exe), "python"))
		snprintf(p->python, sizeof p->python, "%s", p->exe);
	read_maps(p);
	return 0;
}

bool procfs_filtered(pid_t pid)
{
	char path[64] = "/proc/self/status", text[8192], *line;

	if (pid)
		file_of(path, pid, "status");
	if (small_file_read(path, text, sizeof text) <= 0)
		return false;
	line = strstr(text, "\nSeccomp:");
	return line && strtol(line + sizeof "\nSeccomp:" - 1, NULL, 10) == 2;
}

int procfs_environment(pid_t pid, const char *name, char *value, size_t size)
{
	char path[64], *text = NULL;
	size_t room = 0, n = strlen(name);
	FILE *file = fopen(file_of(path, pid, "environ"), "re");
	int found = 0;

	if (!file)
		return -errno;
	while (!found && getdelim(&text, &room, '\0', file) > 0) {
		if (strncmp(text, name, n) != 0 || text[n] != '=')
			continue;
		snprintf(value, size, "%s", text + n + 1);
		found = 1;
	}
	free(text);
	fclose(file);
	return found;
}

int procfs_whole_environment(pid_t pid, char ***environment)
{
	char path[64], **list = memory_need(calloc(1, sizeof *list)), *text = NULL;
	FILE *file = fopen(file_of(path, pid, "environ"), "re");
	int ret = file ? 0 : -errno;
	size_t room = 0, n = 0;

	while (file && getdelim(&text, &room, '\0', file) > 0) {
		list = memory_need(realloc(list, (n + 2) * sizeof *list));
		list[n++] = memory_need(strdup(text));
		list[n] = NULL;
	}
	free(text);
	if (file)
		fclose(file);
	else
		free(list);
	*environment = file ? list : NULL;
	return ret;
}

void procfs_free_environment(char **environment)
{
	size_t i;

	for (i = 0; environment[i]; i++)
		free(environment[i]);
	free(environment);
}

void procfs_without_ring(uint32_t uid, bool all_users, procfs_visit *visit, void *arg)
{
	DIR *list = opendir("/proc");
	struct dirent *entry;
	struct procfs p;
	long long pid;

	while (list && (entry = readdir(list))) {
		if (text_number(entry->d_name, 1, INT32_MAX, &pid) < 0)
			continue;
		if (procfs_read(&p, (pid_t)pid) < 0 || (!all_users && p.uid != uid))
			continue;
		if (*p.library && *p.python && !*p.ring)
			visit(arg, &p);
	}
	if (list)
		closedir(list);
}

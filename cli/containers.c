/* SPDX-License-Identifier: MIT */
#include "cli/containers.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"
#include "cli/text.h"

#define ID_DIGITS  64 /* of a container, in hexadecimal digits */
#define UID_LENGTH 36 /* 8-4-4-4-12 digits */

/* Numbers of namespaces. */
struct met {
	uint64_t *list;
	size_t n;
};

static bool met_before(const struct met *met, uint64_t number)
{
	size_t i;

	for (i = 0; i < met->n; i++)
		if (met->list[i] == number)
			return true;
	return false;
}

static void met_add(struct met *met, uint64_t number)
{
	met->list = memory_need(realloc(met->list, (met->n + 1) * sizeof *met->list));
	met->list[met->n++] = number;
}

/* "mnt:[4026531841]"; 0 where it may not be read. */
static uint64_t namespace_number(int process, const char *name)
{
	char link[64];
	ssize_t n = readlinkat(process, name, link, sizeof link - 1);
	char *digits;

	link[n > 0 ? n : 0] = '\0';
	digits = strchr(link, '[');
	return digits ? strtoull(digits + 1, NULL, 10) : 0;
}

/* Through its own directory, which stays this process's. Returns false where it may not be done. */
static bool containers_look_at(int proc, const char *pid, struct met *met, containers_visit *visit,
			       void *arg)
{
	int process = openat(proc, pid, O_PATH | O_DIRECTORY | O_CLOEXEC), root;
	uint64_t number;
	char path[64];

	if (process < 0) /* it ended */
		return true;
	number = namespace_number(process, "ns/mnt");
	root = -1;
	if (number && !met_before(met, number))
		root = openat(process, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(process);
	if (root >= 0) {
		met_add(met, number);
		snprintf(path, sizeof path, "/proc/%.10s/root", pid);
		visit(arg, root, path);
		close(root);
	}
	return number && (root >= 0 || met_before(met, number));
}

unsigned containers_each(containers_visit *visit, void *arg)
{
	DIR *list = opendir("/proc");
	struct met met = { .n = 0 };
	struct dirent *entry;
	unsigned refused = 0;
	long long pid;

	while (list && (entry = readdir(list)))
		if (text_number(entry->d_name, 1, INT32_MAX, &pid) == 0)
			refused +=
			    !containers_look_at(dirfd(list), entry->d_name, &met, visit, arg);
	if (list)
		closedir(list);
	free(met.list);
	return refused;
}

/* The last run of so many hexadecimal digits. */
static const char *container_id_in(const char *cgroup)
{
	const char *found = NULL, *at = cgroup;
	size_t n;

	while (*at) {
		n = strspn(at, "0123456789abcdef");
		if (n == ID_DIGITS)
			found = at;
		at += n ? n : 1;
	}
	return found;
}

/* ".../kubepods-burstable-pod0a1b2c3d_....slice/..." and ".../pod0a1b2c3d-.../...". */
static void container_pod_in(char uid[40], const char *cgroup)
{
	const char *at = cgroup;
	size_t i;

	while ((at = strstr(at, "pod"))) {
		at += strlen("pod");
		for (i = 0; i < UID_LENGTH; i++)
			if (!isxdigit((unsigned char)at[i]) && at[i] != '-' && at[i] != '_')
				break;
		if (i < UID_LENGTH || isalnum((unsigned char)at[UID_LENGTH]))
			continue;
		for (i = 0; i < UID_LENGTH; i++)
			uid[i] = at[i] == '_' ? '-' : at[i];
		uid[UID_LENGTH] = '\0';
		return;
	}
}

void container_of(struct container *container, const struct gcpreload_header *h)
{
	const char *id = container_id_in(h->cgroup);
	static uint64_t own;

	memset(container, 0, sizeof *container);
	if (!own)
		own = namespace_number(AT_FDCWD, "/proc/self/ns/pid");
	if (id)
		memcpy(container->id, id, 12);
	else if (h->pid_namespace && h->pid_namespace != own)
		snprintf(container->id, sizeof container->id, "pid-%" PRIu32,
			 (uint32_t)h->pid_namespace);
	container_pod_in(container->pod_uid, h->cgroup);
}

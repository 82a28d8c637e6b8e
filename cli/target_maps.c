/* SPDX-License-Identifier: MIT */
#include "cli/target_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli/memory.h"

static void add_map(struct target_maps *maps, char *line)
{
	struct target_map *map;
	char bits[5] = "";
	int path = 0;

	maps->list = memory_need(realloc(maps->list, (maps->n + 1) * sizeof *map));
	map = &maps->list[maps->n];
	memset(map, 0, sizeof *map);
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &map->start,
		   &map->end, bits, &map->offset, &path) < 4)
		return;
	line[strcspn(line, "\n")] = '\0';
	map->executable = bits[2] == 'x';
	map->path = memory_need(strdup(path ? line + path : ""));
	maps->n++;
}

int target_maps_read(struct target_maps *maps, pid_t pid)
{
	char path[64], *line = NULL;
	size_t room = 0;
	FILE *file;

	memset(maps, 0, sizeof *maps);
	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (getline(&line, &room, file) > 0)
		add_map(maps, line);
	free(line);
	fclose(file);
	return 0;
}

void target_maps_free(struct target_maps *maps)
{
	size_t i;

	for (i = 0; i < maps->n; i++)
		free(maps->list[i].path);
	free(maps->list);
	memset(maps, 0, sizeof *maps);
}

const struct target_map *target_maps_of(const struct target_maps *maps, const char *path)
{
	size_t i;

	for (i = 0; i < maps->n; i++)
		if (strcmp(maps->list[i].path, path) == 0)
			return &maps->list[i];
	return NULL;
}

int target_maps_open(pid_t pid, const struct target_map *map)
{
	char path[4200], file[4096], memory[4096];
	int fd, ret;

	snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)pid, map->start,
		 map->end);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* root only; also what was removed */
	if (fd < 0) {
		snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, map->path);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	}
	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	ret = target_memory_read(pid, map->start, memory, sizeof memory);
	if (ret == 0 && (pread(fd, file, sizeof file, (off_t)map->offset) != sizeof file ||
			 memcmp(file, memory, sizeof file) != 0))
		ret = -ESTALE;
	if (ret < 0)
		close(fd);
	return ret < 0 ? ret : fd;
}

static int memory_copied(ssize_t n, size_t size)
{
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EFAULT;
}

int target_memory_read(pid_t pid, uint64_t address, void *bytes, size_t size)
{
	struct iovec here = { bytes, size }, there = { (void *)(uintptr_t)address, size };

	return memory_copied(process_vm_readv(pid, &here, 1, &there, 1, 0), size);
}

int target_memory_write(pid_t pid, uint64_t address, const void *bytes, size_t size)
{
	struct iovec here = { (void *)(uintptr_t)bytes, size },
		     there = { (void *)(uintptr_t)address, size };

	return memory_copied(process_vm_writev(pid, &here, 1, &there, 1, 0), size);
}

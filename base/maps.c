/* SPDX-License-Identifier: MIT */
#include "base/maps.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/read.h"

/* "LOW-HIGH PERMISSIONS OFFSET DEVICE INODE PATH" (proc(5)). */
static bool maps_line(char *line, const void *address, struct maps_place *place)
{
	uintptr_t at = (uintptr_t)address, low, high;
	char *end;

	low = strtoul(line, &end, 16);
	high = *end == '-' ? strtoul(end + 1, &end, 16) : 0;
	if (at < low || at >= high)
		return false;
	place->name = strchr(end, '/') ? strchr(end, '/') : "";
	place->low = low;
	place->high = high;
	return true;
}

bool maps_find(const void *address, struct maps_place *place, char *text, size_t size)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	bool found = false;
	char *line, *end;
	ssize_t n;

	while (fd >= 0 && !found && (n = gcpreload_read(fd, text + have, size - 1 - have)) > 0) {
		have += (size_t)n;
		text[have] = '\0';
		for (line = text; !found && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			found = maps_line(line, address, place);
		}
		if (found)
			break;
		have -= (size_t)(line - text);
		if (have >= size - 1)
			have = 0;
		memmove(text, line, have);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

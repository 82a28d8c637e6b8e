/* SPDX-License-Identifier: MIT */
#include "cli/in_force.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"
#include "ring/control.h"
#include "ring/reader.h"

/* Takes the mode of a file, if it is newer than *serial. */
static bool in_force_take(struct in_force *in_force, int dir, const char *service, uid_t uid,
			  uint64_t *serial)
{
	char name[GCPRELOAD_CONTROL_NAME];
	struct gcpreload_control control;
	const char *why;
	unsigned mode;

	gcpreload_control_name(name, service);
	if (gcpreload_control_read(dir, name, uid, &control, &why) <= 0 ||
	    control.serial <= *serial || strncmp(control.verb, "mode=", 5) != 0)
		return false;
	for (mode = 0; mode < GCPRELOAD_MODES; mode++)
		if (strcmp(control.verb + 5, gcpreload_mode_name(mode)) == 0) {
			*serial = control.serial;
			in_force->mode = (enum gcpreload_mode)mode;
			in_force->all = !service;
			return true;
		}
	return false;
}

bool in_force_look(struct in_force *in_force, const char *dir, uid_t uid, const char *service)
{
	char *path = format_text("%s/gcpreload-%u", dir, (unsigned)uid);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	uint64_t serial = 0;
	bool found = false;

	free(path);
	if (fd < 0)
		return false;
	found = in_force_take(in_force, fd, NULL, uid, &serial);
	if (service)
		found = in_force_take(in_force, fd, service, uid, &serial) || found;
	close(fd);
	return found;
}

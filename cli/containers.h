/* SPDX-License-Identifier: MIT */
/* Processes that see another file system than we do, by their mount namespaces: containers. */
#ifndef GCPRELOAD_CLI_CONTAINERS_H
#define GCPRELOAD_CLI_CONTAINERS_H

#include <stdbool.h>

#include "ring/layout.h"

/* root is open, and path a name of it for people: /proc/PID/root. */
typedef void containers_visit(void *arg, int root, const char *path);

/* Calls visit once for each mount namespace in which a process runs, our own one too. Returns how
 * many processes could not be looked at. */
unsigned containers_each(containers_visit *visit, void *arg);

struct container {
	char id[16]; /* the first 12 digits, as `docker ps` shows it; "" where it is not known */
	char pod_uid[40]; /* of Kubernetes; "" where it is not known */
};

/* What a process's cgroup says. Where it is hidden from the process, and its pid namespace is not
 * ours, id is "pid-" and the number of that, which tells processes with the same pid apart. */
void container_of(struct container *container, const struct gcpreload_header *h);

#endif

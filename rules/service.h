/* SPDX-License-Identifier: MIT */
/*
 * The name of a service that nobody has named: of the systemd unit, the Kubernetes pod or the
 * container that its processes run in, else of what they run. The same for all processes of a
 * service, for parents and workers, and after a restart.
 */
#ifndef GCPRELOAD_RULES_SERVICE_H
#define GCPRELOAD_RULES_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/vocabulary.h"

#define SERVICE_NAME 64 /* with its end; what the header of a ring has room for */

struct service_facts {
	const char *command; /* arguments separated by spaces */
	const char *cgroup;  /* a path out of /proc/PID/cgroup, "" where it is unknown */
	const char *hostname;
	bool kubernetes; /* KUBERNETES_SERVICE_HOST is set */
	bool container;	 /* there is another sign of one */
};

/* Fills name, which is never empty. Returns what it is made of. */
enum gcpreload_service_from service_name(const struct service_facts *facts,
					 char name[SERVICE_NAME]);

/* A hash of what a command line is called ("gunicorn app:app"): several programs may run in a unit
 * or a container. Never 0. */
uint32_t service_program(const char *command);

#endif

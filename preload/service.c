/* SPDX-License-Identifier: MIT */
#include "preload/service.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/shared.h"
#include "preload/log.h"
#include "preload/origin.h"
#include "ring/identity.h"
#include "ring/raw.h"

/* Read where the process is one thread, and while the environment is as it was given. */
static const struct gcpreload_settings *in_use;
static bool kubernetes;

/* Made once, also for all children. */
enum naming { UNNAMED, NAMING, NAMED };
static enum naming made;
static char made_name[SERVICE_NAME];
static struct gcpreload_service made_service;

void service_start(const struct gcpreload_settings *settings, char *const *environment)
{
	in_use = settings;
	kubernetes = settings_variable(environment, "KUBERNETES_SERVICE_HOST") != NULL;
}

/* What Docker and Podman leave in theirs. */
static bool service_has_sign_of_container(void)
{
	struct stat st;

	return ring_stat_name(AT_FDCWD, "/.dockerenv", &st) == 0 ||
	       ring_stat_name(AT_FDCWD, "/run/.containerenv", &st) == 0;
}

static struct gcpreload_service service_make(char *name)
{
	char cgroup[256];
	struct utsname host;
	struct service_facts facts = {
		.command = origin_named(),
		.cgroup = cgroup,
		.hostname = uname(&host) == 0 ? host.nodename : "",
		.kubernetes = kubernetes,
		.container = service_has_sign_of_container(),
	};

	if (!*facts.command)
		facts.command = origin_own();
	ring_identity_cgroup(cgroup, sizeof cgroup);
	return (struct gcpreload_service){ .from = service_name(&facts, name),
					   .program = service_program(facts.command) };
}

struct gcpreload_service service_of_process(char *name)
{
	struct gcpreload_service service = { .from = in_use->service_from };
	enum naming seen = UNNAMED;

	if (service.from) {
		snprintf(name, SERVICE_NAME, "%s", in_use->service_name);
		return service;
	}
	if (load_acquire(&made) == NAMED) {
		memcpy(name, made_name, SERVICE_NAME);
		return made_service;
	}
	memset(name, 0, SERVICE_NAME);
	service = service_make(name);
	if (swap_acq_rel(&made, &seen, NAMING)) {
		memcpy(made_name, name, SERVICE_NAME);
		made_service = service;
		store_release(&made, NAMED);
		log_note_service(made_name);
	}
	return service;
}

/* SPDX-License-Identifier: MIT */
#include "preload/service.h"

#include <stdio.h>

static const struct gcpreload_settings *in_use;

void service_start(const struct gcpreload_settings *settings, char *const *environment)
{
	(void)environment;
	in_use = settings;
}

uint32_t service_of_process(char name[SERVICE_NAME])
{
	snprintf(name, SERVICE_NAME, "%s", in_use->service_name ? in_use->service_name : "");
	return 0;
}

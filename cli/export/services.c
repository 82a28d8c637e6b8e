/* SPDX-License-Identifier: MIT */
#include "cli/export/services.h"

#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "ring/retired.h"

struct gather_service *services_named(struct gather *gather, const char *name)
{
	struct gather_service *service;
	size_t i;

	for (i = 0; i < gather->n_services; i++)
		if (strcmp(gather->services[i]->name, name) == 0)
			return gather->services[i];
	if (gather->n_services == GATHER_MOST_SERVICES)
		return gather->services[GATHER_MOST_SERVICES - 1];
	if (gather->n_services == GATHER_MOST_SERVICES - 1)
		name = GCPRELOAD_RETIRED_OTHER;
	gather->services = memory_need(
	    realloc(gather->services, (gather->n_services + 1) * sizeof *gather->services));
	service = memory_need(calloc(1, sizeof *service));
	service->name = memory_need(strdup(name));
	return gather->services[gather->n_services++] = service;
}

/* SPDX-License-Identifier: MIT */
#include "cli/export/gather.h"

#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "ring/histogram.h"

void gather_add(gather_series sum, struct gather_process *process)
{
	struct gcpreload_series series;
	unsigned p, g, c;

	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
			for (c = 0; c < GCPRELOAD_CAUSES; c++)
				if (gcpreload_reader_series(&process->reader, p, g, c, &series) ==
					0 &&
				    series.collections)
					gcpreload_series_merge(&sum[p][g][c], &series);
}

uint64_t gather_lost(const struct gather_process *process)
{
	const struct gcpreload_header *h = &process->reader.header;

	return h->n_slots && h->head > h->n_slots ? h->head - h->n_slots : 0;
}

bool gather_belongs(const struct gather_service *service, const struct gather_process *process)
{
	return strncmp(service->name, process->reader.header.service_name,
		       sizeof process->reader.header.service_name) == 0;
}

static struct gather_service *service_of(struct gather *gather,
					 const struct gather_process *process)
{
	struct gather_service *service;
	size_t i;

	for (i = 0; i < gather->n_services; i++)
		if (gather_belongs(gather->services[i], process))
			return gather->services[i];
	gather->services =
	    need(realloc(gather->services, (gather->n_services + 1) * sizeof *gather->services));
	service = need(calloc(1, sizeof *service));
	service->name = need(strdup(process->reader.header.service_name));
	return gather->services[gather->n_services++] = service;
}

static struct gather_process *known(struct gather *gather, const char *name)
{
	size_t i;

	for (i = 0; i < gather->n_processes; i++)
		if (strcmp(gather->processes[i].name, name) == 0)
			return &gather->processes[i];
	return NULL;
}

static void see(void *arg, struct ring *ring)
{
	struct gather *gather = arg;
	struct gather_process *process;

	if (ring->why)
		return;
	process = known(gather, ring->name);
	if (!process) {
		if (gather->n_processes == gather->room) {
			gather->room = gather->room ? 2 * gather->room : 64;
			gather->processes = need(
			    realloc(gather->processes, gather->room * sizeof *gather->processes));
		}
		process = &gather->processes[gather->n_processes++];
		*process = (struct gather_process){ .name = need(strdup(ring->name)),
						    .reader = ring->reader };
		ring->reader.fd = -1; /* ours now */
		service_of(gather, process);
	}
	process->reader.header = ring->reader.header;
	process->alive = ring->alive;
	process->seen = true;
}

/* Its file was removed: its last numbers go to its service. */
static void fold(struct gather *gather, struct gather_process *process)
{
	struct gather_service *service = service_of(gather, process);
	const char *why;

	if (gcpreload_reader_refresh(&process->reader, &why) == 0) {
		gather_add(service->gone, process);
		service->gone_lost += gather_lost(process);
		service->gone_guard_trips += process->reader.header.idle.guard_trips;
	}
	gcpreload_reader_close(&process->reader);
	free(process->name);
}

void gather_look(struct gather *gather)
{
	size_t i, kept = 0;

	for (i = 0; i < gather->n_processes; i++)
		gather->processes[i].seen = false;
	for (i = 0; i < gather->n_choices; i++)
		rings_each(&gather->choices[i], see, gather, NULL);
	for (i = 0; i < gather->n_processes; i++) {
		if (gather->processes[i].seen)
			gather->processes[kept++] = gather->processes[i];
		else
			fold(gather, &gather->processes[i]);
	}
	gather->n_processes = kept;
}

void gather_free(struct gather *gather)
{
	size_t i;

	for (i = 0; i < gather->n_processes; i++) {
		gcpreload_reader_close(&gather->processes[i].reader);
		free(gather->processes[i].name);
	}
	for (i = 0; i < gather->n_services; i++) {
		free(gather->services[i]->name);
		free(gather->services[i]);
	}
	free(gather->processes);
	free(gather->services);
	free(gather->choices);
}

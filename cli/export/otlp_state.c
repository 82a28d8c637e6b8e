/* SPDX-License-Identifier: MIT */
#include "cli/export/otlp_state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/memory.h"
#include "ring/retired.h"

static uint64_t real_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* When a process's counting began; a time that cannot be is taken as now. */
static uint64_t otlp_state_attached(const struct gcpreload_header *h, uint64_t now)
{
	uint64_t attached = gcpreload_attached_real_ns(h);

	return !attached || h->realtime_ns > now ? now : attached;
}

/* The start is that of the process whose ring came first: of all that come later none can change
 * it, and an exporter that is started again finds the same. */
static void take_start(struct otlp_subject *subject, uint64_t published, uint64_t attached)
{
	if (subject->since || !published || (subject->first && subject->first <= published))
		return;
	subject->first = published;
	subject->start = attached;
}

static struct otlp_subject *new_subject(struct otlp_state *state, const char *service)
{
	struct otlp_subject *subject = memory_need(calloc(1, sizeof *subject));

	subject->service = memory_need(strdup(service));
	subject->reader.fd = -1;
	state->subjects = memory_need(
	    realloc(state->subjects, (state->n_subjects + 1) * sizeof(struct otlp_subject *)));
	return state->subjects[state->n_subjects++] = subject;
}

static struct otlp_subject *otlp_state_find(struct otlp_state *state, const char *name)
{
	size_t i;

	for (i = 0; i < state->n_subjects; i++) {
		struct otlp_subject *one = state->subjects[i];

		if (strcmp(one->ring ? one->ring : one->service, name) == 0)
			return one;
	}
	return NULL;
}

static void free_subject(struct otlp_subject *subject)
{
	unsigned p, g, c;

	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
			for (c = 0; c < GCPRELOAD_CAUSES; c++) {
				free(subject->now[p][g][c]);
				free(subject->arrived[p][g][c]);
			}
	gcpreload_reader_close(&subject->reader);
	exemplars_free(&subject->exemplars);
	free(subject->living);
	free(subject->service);
	free(subject->ring);
	free(subject);
}

static void otlp_state_take_counts(struct otlp_subject *subject, gather_series sum)
{
	unsigned p, g, c;

	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
			for (c = 0; c < GCPRELOAD_CAUSES; c++) {
				struct gcpreload_series **now = &subject->now[p][g][c];

				if (!*now && !sum[p][g][c].collections)
					continue;
				if (!*now)
					*now = memory_need(malloc(sizeof **now));
				**now = sum[p][g][c];
			}
}

static void otlp_state_add_process(struct otlp_subject *subject, const struct gcpreload_header *h,
				   bool alive)
{
	uint64_t since = otlp_state_attached(h, subject->time);
	struct counters counted;

	counters_read(&counted, h);
	counters_add(&subject->counted, &counted);
	take_start(subject, h->realtime_ns < subject->time ? h->realtime_ns : subject->time, since);
	if (!subject->newest || h->published_ns > subject->newest->published_ns)
		subject->newest = h;
	if (!alive)
		return;
	subject->living = memory_need(
	    realloc(subject->living, (subject->n_living + 1) * sizeof(struct gcpreload_header *)));
	subject->living[subject->n_living++] = h;
}

/* Old and new processes side by side while a service is replaced do not make its resource change
 * to and fro. */
static void take_names(struct otlp_subject *subject)
{
	const struct gcpreload_header *h = subject->newest;
	size_t i;

	for (i = 0; i < subject->n_living; i++)
		if (strcmp(subject->living[i]->service_version, h->service_version) != 0 ||
		    strcmp(subject->living[i]->service_environment, h->service_environment) != 0)
			break;
	if (!h || (subject->since && i < subject->n_living))
		return;
	memcpy(subject->version, h->service_version, sizeof subject->version);
	memcpy(subject->environment, h->service_environment, sizeof subject->environment);
}

/* The start stays. Deltas do not reach
 * back behind the first look: who looked before may have pushed that. */
static void otlp_state_finish(struct otlp_state *state, struct otlp_subject *subject)
{
	if (!subject->start)
		subject->start = subject->time;
	if (!subject->since)
		subject->since = subject->start > state->began ? subject->start : state->began;
	take_names(subject);
}

static void look_at_service(struct otlp_state *state, const struct gather_service *service,
			    gather_series sum)
{
	struct otlp_subject *subject = otlp_state_find(state, service->name);
	size_t i;

	if (!subject)
		subject = new_subject(state, service->name);
	subject->time = real_time();
	subject->n_living = 0;
	subject->newest = NULL;
	memcpy(sum, service->gone, sizeof service->gone);
	exemplars_free(&subject->exemplars);
	subject->counted = service->gone_counters;
	take_start(subject, service->first_published_ns, service->first_attached_ns);
	for (i = 0; i < state->gather.n_processes; i++) {
		struct gather_process *process = &state->gather.processes[i];

		if (!gather_belongs(service, process))
			continue;
		gather_add(sum, process);
		exemplars_add(&subject->exemplars, &process->exemplars);
		otlp_state_add_process(subject, &process->reader.header, process->alive);
	}
	otlp_state_take_counts(subject, sum);
	otlp_state_finish(state, subject);
}

static void take_ring(struct otlp_subject *subject, const struct gather_process *process)
{
	gcpreload_reader_close(&subject->reader);
	subject->reader = process->reader;
	subject->reader.fd = fcntl(process->reader.fd, F_DUPFD_CLOEXEC, 0);
}

/* Its file was removed, and the process has made another one of that name. */
static bool has_new_ring(const struct otlp_subject *subject, const struct gather_process *process)
{
	struct stat st;

	return gcpreload_reader_same_process(&subject->reader.header, &process->reader.header) &&
	       fstat(subject->reader.fd, &st) == 0 && !st.st_nlink &&
	       fstat(process->reader.fd, &st) == 0 && st.st_nlink;
}

static void find_process(struct otlp_state *state, const struct gather_process *process)
{
	struct otlp_subject *subject = otlp_state_find(state, process->name);

	if (subject && has_new_ring(subject, process))
		take_ring(subject, process);
	if (!subject) {
		subject = new_subject(state, process->reader.header.service_name);
		subject->ring = memory_need(strdup(process->name));
		take_ring(subject, process);
	}
	subject->seen = true;
}

static void look_at_process(struct otlp_state *state, struct otlp_subject *subject,
			    gather_series sum)
{
	struct gather_process process = { 0 };
	const char *why;
	bool alive;

	if (subject->over)
		return;
	/* In this order: what ended before it was read has its last numbers read. */
	alive = gcpreload_reader_alive(&subject->reader);
	if (gcpreload_reader_refresh(&subject->reader, &why) < 0) {
		subject->over = true;
		return;
	}
	subject->time = real_time();
	subject->n_living = 0;
	memset(sum, 0, sizeof(gather_series));
	memset(&subject->counted, 0, sizeof subject->counted);
	process.reader = subject->reader;
	gather_add(sum, &process);
	exemplars_read(&subject->exemplars, &subject->reader);
	otlp_state_add_process(subject, &subject->reader.header, alive);
	otlp_state_take_counts(subject, sum);
	otlp_state_finish(state, subject);
}

/* Those that are over stay as long as gather knows them, or they would be found anew. */
static void forget_the_gone(struct otlp_state *state)
{
	size_t i, kept = 0;

	for (i = 0; i < state->n_subjects; i++) {
		struct otlp_subject *subject = state->subjects[i];

		if (subject->ring && subject->over && !subject->seen)
			free_subject(subject);
		else
			state->subjects[kept++] = subject;
	}
	state->n_subjects = kept;
}

void otlp_state_look(struct otlp_state *state)
{
	gather_series *sum = memory_need(malloc(sizeof *sum));
	size_t i;

	if (!state->began)
		state->began = real_time();
	gather_look(&state->gather);
	for (i = 0; i < state->n_subjects; i++)
		state->subjects[i]->seen = false;
	for (i = 0; !state->per_process && i < state->gather.n_services; i++)
		look_at_service(state, state->gather.services[i], *sum);
	for (i = 0; state->per_process && i < state->gather.n_processes; i++)
		find_process(state, &state->gather.processes[i]);
	forget_the_gone(state);
	for (i = 0; state->per_process && i < state->n_subjects; i++)
		look_at_process(state, state->subjects[i], *sum);
	free(sum);
}

void otlp_state_arrived(struct otlp_subject *subject)
{
	otlp_counts before;

	if (subject->over)
		return;
	memcpy(before, subject->arrived, sizeof before);
	memcpy(subject->arrived, subject->now, sizeof before);
	memcpy(subject->now, before, sizeof before); /* its memory is used for the next look */
	subject->counted_arrived = subject->counted;
	subject->since = subject->time;
	subject->over = subject->ring && !subject->n_living;
}

void otlp_state_free(struct otlp_state *state)
{
	size_t i;

	for (i = 0; i < state->n_subjects; i++)
		free_subject(state->subjects[i]);
	free(state->subjects);
	gather_free(&state->gather);
}

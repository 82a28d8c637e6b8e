/* SPDX-License-Identifier: MIT */
#include "cli/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/proc_stat.h"
#include "cli/follow.h"

static uint64_t not_wrapped(uint64_t value)
{
	return gcpreload_elapsed_wrapped(value) ? 0 : value;
}

/* What was counted after the first minutes. */
static void measure_steady(struct snapshot_period *period, const struct gcpreload_warm *warm)
{
	uint64_t spent_ns = warm->spent_ms * 1000000ull;
	struct snapshot_steady *steady = &period->steady;

	if (!spent_ns || period->length_ns <= spent_ns)
		return;
	steady->length_ns = period->length_ns - spent_ns;
	steady->cpu_ns = gcpreload_elapsed(warm->cpu_ns, period->cpu_ns);
	steady->accepted = gcpreload_elapsed(warm->accepted, period->accepted);
	steady->collections = gcpreload_elapsed(warm->collections, period->in_requests.collections);
	steady->in_request_ns = gcpreload_elapsed(warm->in_request_ns, period->in_requests.sum_ns);
}

void load_measure(struct snapshot *s)
{
	const struct gcpreload_load *load = &s->header.load;
	bool accepts = false;
	int p;

	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		accepts = accepts || load->accepted[p];
	for (p = 0; p < GCPRELOAD_PERIODS; p++) {
		struct snapshot_period *period = &s->periods[p];

		memset(&period->steady, 0, sizeof period->steady);
		period->load_unknown = !load->as_of_ns && period->length_ns;
		period->cpu_ns = not_wrapped(load->cpu_ns[p]);
		period->accepted = not_wrapped(load->accepted[p]);
		period->accepts = accepts;
		if (p != GCPRELOAD_PERIOD_STARTUP)
			measure_steady(period, &load->warm[p - GCPRELOAD_PERIOD_BASELINE]);
	}
}

static uint64_t own_pid_namespace(void)
{
	char link[64] = "";

	if (readlink("/proc/self/ns/pid", link, sizeof link - 1) < 0 ||
	    strncmp(link, "pid:[", 5) != 0)
		return 0;
	return strtoull(link + 5, NULL, 10);
}

void load_until_now(struct snapshot *s)
{
	const struct gcpreload_header *h = &s->header;
	uint64_t known = 0, total;
	struct proc_stat stat;
	char path[64];
	int p;

	/* What it used before it was attached is in the kernel's count, too. */
	if (h->flags & GCPRELOAD_FLAG_ATTACHED)
		return;
	if (s->why || !s->alive || !h->load.as_of_ns || !h->pid_namespace ||
	    h->pid_namespace != own_pid_namespace())
		return;
	snprintf(path, sizeof path, "/proc/%d/stat", h->pid);
	if (proc_stat_read(path, &stat) < 0 || stat.start_time != h->start_time)
		return;
	total = (uint64_t)((double)stat.cpu_ticks * 1e9 / (double)sysconf(_SC_CLK_TCK));
	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		known += s->periods[p].cpu_ns;
	/* As snapshot_period_now. */
	p = h->period < GCPRELOAD_PERIODS ? (int)h->period : GCPRELOAD_PERIODS - 1;
	s->periods[p].cpu_ns += gcpreload_elapsed(known, total);
	if (s->periods[p].steady.length_ns)
		s->periods[p].steady.cpu_ns += gcpreload_elapsed(known, total);
}

void load_merge(struct snapshot_period *into, const struct snapshot_period *from)
{
	into->cpu_ns += from->cpu_ns;
	into->accepted += from->accepted;
	into->load_unknown = into->load_unknown || from->load_unknown;
	into->accepts = into->accepts || from->accepts;
	into->steady.length_ns += from->steady.length_ns;
	into->steady.cpu_ns += from->steady.cpu_ns;
	into->steady.accepted += from->steady.accepted;
	into->steady.collections += from->steady.collections;
	into->steady.in_request_ns += from->steady.in_request_ns;
}

double load_age(const struct snapshot *s)
{
	if (s->why || !s->alive || !s->header.load.as_of_ns)
		return -1;
	return (double)gcpreload_elapsed(s->header.load.as_of_ns, follow_now()) / 1e9;
}

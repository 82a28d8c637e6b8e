/* SPDX-License-Identifier: MIT */
#include "cli/top/model.h"

#include <stdlib.h>
#include <string.h>

#include "cli/memory.h"
#include "ring/histogram.h"

static void take_pauses(struct model_process *p, const struct snapshot *s)
{
	const struct snapshot_period *period = &s->periods[snapshot_period_now(s)];
	const struct gcpreload_series *series;
	unsigned g, c;

	p->share = snapshot_share(period);
	p->longest_ns = period->in_requests.max_ns;
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
		series = &period->generations[g];
		p->p99_ns[g] = gcpreload_histogram_quantile(series, .99);
		for (c = 0; c < GCPRELOAD_CAUSES; c++) {
			p->gc_ns[g] += s->gc_sum_ns[g][c];
			p->collections[g] += s->gc[g][c].collections;
		}
	}
}

static void nothing_between(struct model_process *p)
{
	int g;

	p->share_now = -1;
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++)
		p->share_now_of[g] = p->per_second[g] = -1;
}

void model_take(struct model_process *p, const struct snapshot *s)
{
	const struct gcpreload_header *h = &s->header;

	memset(p, 0, sizeof *p);
	p->dir = memory_need(strdup(s->dir));
	p->name = memory_need(strdup(s->name));
	p->why = s->why ? memory_need(strdup(s->why)) : NULL;
	p->alive = s->alive;
	p->state = snapshot_state(s);
	p->mode = s->why ? "-" : gcpreload_mode_name(h->mode);
	p->frozen = s->why ? -1 : h->frozen_objects;
	p->share = -1;
	nothing_between(p);
	if (s->why)
		return;
	p->due = snapshot_is_due(s);
	p->pid = h->pid;
	memcpy(p->service, h->service_name, sizeof p->service);
	memcpy(p->command, h->command, sizeof p->command);
	take_pauses(p, s);
}

void model_clear(struct model_process *p)
{
	free(p->dir);
	free(p->name);
	free(p->why);
	memset(p, 0, sizeof *p);
}

/* A file may say anything, also less than before. */
static double model_growth(uint64_t now, uint64_t before)
{
	return now > before ? (double)(now - before) : 0;
}

/* A collection is counted when it ends, so it may have begun before the last look. */
static double share_of(double ns, double seconds)
{
	double share = ns / 1e9 / seconds;

	return share < 1 ? share : 1;
}

void model_since(struct model_process *p, const struct model_process *before, double seconds)
{
	double ns, all = 0;
	int g;

	nothing_between(p);
	if (p->why || before->why || !p->alive || !(seconds > 0))
		return;
	for (g = 0; g < GCPRELOAD_GENERATIONS; g++) {
		ns = model_growth(p->gc_ns[g], before->gc_ns[g]);
		all += ns;
		p->share_now_of[g] = share_of(ns, seconds);
		p->per_second[g] =
		    model_growth(p->collections[g], before->collections[g]) / seconds;
	}
	p->share_now = share_of(all, seconds);
}

int model_by_name(const struct model_process *a, const struct model_process *b)
{
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->dir, b->dir);
}

/* ---- order ---- */

static int model_rank(const struct model_process *p)
{
	return p->why ? 2 : !p->alive;
}

static int model_ascending(double a, double b)
{
	return (a > b) - (a < b);
}

static double number_of(const struct model_process *p, enum model_sort by)
{
	switch (by) {
	case MODEL_BY_NOW:
		return p->share_now;
	case MODEL_BY_SHARE:
		return p->share;
	case MODEL_BY_LONGEST:
		return (double)p->longest_ns;
	case MODEL_BY_P99:
		return (double)p->p99_ns[GCPRELOAD_GENERATIONS - 1];
	case MODEL_BY_FROZEN:
		return (double)p->frozen;
	default:
		return 0;
	}
}

static int model_compare(const void *a, const void *b, void *arg)
{
	const struct model_process *x = *(const struct model_process *const *)a;
	const struct model_process *y = *(const struct model_process *const *)b;
	const enum model_sort *by = arg;
	int order = model_rank(x) - model_rank(y);

	if (!order)
		order = model_ascending(number_of(y, *by), number_of(x, *by));
	/* What is unknown for most, at first, is no order. */
	if (!order && *by == MODEL_BY_NOW)
		order = model_ascending(y->share, x->share);
	if (!order && *by == MODEL_BY_COMMAND) {
		order = strcmp(x->service, y->service);
		if (!order)
			order = strcmp(x->command, y->command);
	}
	if (!order)
		order = model_ascending(x->pid, y->pid);
	return order ? order : model_by_name(x, y);
}

void model_sort(const struct model_process **list, size_t n, enum model_sort by)
{
	if (n)
		qsort_r(list, n, sizeof *list, model_compare, &by);
}

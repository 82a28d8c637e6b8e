/* SPDX-License-Identifier: MIT */
#include "cli/follow.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "cli/memory.h"
#include "cli/text.h"

#define SECOND	 1000000000ll
#define INTERVAL (SECOND / 10)

/* A ring that is followed. */
struct followed {
	char *name; /* unique in the world: pid, start time, random */
	struct gcpreload_reader reader;
	uint64_t told_lost;
	uint64_t told_mark; /* seq of the last one */
	bool behind;	    /* has not been looked at since it was opened */
	bool ended;
	struct followed *next;
};

static volatile sig_atomic_t stopped;

static void follow_stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

uint64_t follow_now(void)
{
	return (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

int64_t follow_to_realtime(void)
{
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

static bool is_wanted(const struct follow *follow, int32_t pid)
{
	size_t i;

	for (i = 0; i < follow->n_pids; i++)
		if (follow->pids[i] == pid)
			return true;
	return follow->n_pids == 0;
}

/* In the order of their numbers. One that goes on is told when it is over, when another has begun
 * after it, or when the process has ended. */
static void follow_tell_marks(struct follow *follow, struct followed *f, bool alive)
{
	struct gcpreload_mark marks[GCPRELOAD_MARKS_KEPT];
	int i, n;

	if (!f->reader.header.marks.begun)
		return;
	n = gcpreload_reader_marks(&f->reader, marks);
	for (i = 0; i < n && !stopped && !follow->error; i++) {
		if (marks[i].seq <= f->told_mark)
			continue;
		if (alive && i + 1 == n && !gcpreload_mark_is_over(&marks[i]))
			break;
		f->told_mark = marks[i].seq;
		follow->mark(follow->arg, &f->reader.header, &marks[i]);
	}
}

/* What was over before us is history: report has it. */
static void follow_skip_marks(const struct follow *follow, struct followed *f)
{
	struct gcpreload_mark marks[GCPRELOAD_MARKS_KEPT];
	int i, n = gcpreload_reader_marks(&f->reader, marks);

	for (i = 0; i < n && gcpreload_mark_is_over(&marks[i]); i++)
		if (!follow->past || marks[i].start_ns + marks[i].mark_ns < follow->from_ns)
			f->told_mark = marks[i].seq;
}

/* The first event to be told. */
static uint64_t follow_from(const struct follow *follow, const struct gcpreload_header *h)
{
	uint64_t most = follow->past_events ? follow->past_events : UINT64_MAX;

	if (!follow->past)
		return h->head;
	most = most < h->n_slots ? most : h->n_slots;
	return h->head > most ? h->head - most : 0;
}

/* Its file was removed, and the process has made another one, in which events have the same
 * numbers. */
static void follow_on(struct followed *f, struct ring *ring)
{
	uint64_t next = f->reader.next, lost = f->reader.lost;
	struct stat st;

	if (fstat(f->reader.fd, &st) < 0 || st.st_nlink ||
	    !gcpreload_reader_same_process(&f->reader.header, &ring->reader.header))
		return;
	gcpreload_reader_close(&f->reader);
	f->reader = ring->reader;
	f->reader.next = next;
	f->reader.lost = lost;
	ring->reader.fd = -1; /* ours now */
}

static void follow_begin(void *arg, struct ring *ring)
{
	struct follow *follow = arg;
	struct followed *f;

	if (ring->why || !ring->alive || !is_wanted(follow, ring->reader.header.pid))
		return;
	for (f = follow->first; f; f = f->next)
		if (strcmp(f->name, ring->name) == 0) {
			follow_on(f, ring);
			return;
		}
	f = memory_need(calloc(1, sizeof *f));
	f->name = memory_need(strdup(ring->name));
	f->reader = ring->reader;
	ring->reader.fd = -1; /* ours now */
	/* A new process's events are told from its beginning, an old one's from now on. */
	if (!follow->begun) {
		f->reader.next = follow_from(follow, &f->reader.header);
		f->behind = follow->past;
		follow_skip_marks(follow, f);
	}
	f->next = follow->first;
	follow->first = f;
	if (follow->began)
		follow->began(follow->arg, &f->reader.header);
}

int64_t follow_realtime(const struct follow *follow, uint64_t ns)
{
	return (int64_t)(ns + (uint64_t)follow->to_realtime_ns);
}

void follow_json_hit(struct json *json, const struct gcpreload_hit *hit)
{
	char trace_id[GCPRELOAD_TRACE_ID_TEXT], span_id[GCPRELOAD_SPAN_ID_TEXT];

	if (!hit)
		return;
	gcpreload_span_text(&hit->span, trace_id, span_id);
	json_pair_string(json, "trace_id", trace_id);
	json_pair_string(json, "span_id", span_id);
}

static void follow_tell_lost(struct follow *follow, struct followed *f)
{
	uint64_t n = f->reader.lost - f->told_lost;

	f->told_lost = f->reader.lost;
	if (n && !f->behind) /* what was written over before we came is history */
		follow->lost(follow->arg, &f->reader.header, n);
}

static void look_at(struct follow *follow, struct followed *f)
{
	struct gcpreload_slot slot;
	struct gcpreload_hit hit;
	const char *why;
	bool alive = gcpreload_reader_alive(&f->reader);

	if (gcpreload_reader_refresh(&f->reader, &why) < 0) {
		text_complain("%d: can no longer be read: %s; skipped", f->reader.header.pid, why);
		f->ended = true;
		return;
	}
	while (!stopped && !follow->error && gcpreload_reader_next(&f->reader, &slot) == 1) {
		follow_tell_lost(follow, f);
		/* What came before us is history: report has it. */
		if (slot.start_ns + slot.duration_ns >= follow->from_ns)
			follow->event(follow->arg, &f->reader.header, &slot,
				      gcpreload_reader_hit(&f->reader, &slot, &hit) ? &hit : NULL);
	}
	follow_tell_lost(follow, f);
	f->behind = false;
	follow_tell_marks(follow, f, alive);
	f->ended = !alive;
}

static void forget_ended(struct follow *follow)
{
	struct followed **at = &follow->first, *f;

	while ((f = *at)) {
		if (!f->ended) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		gcpreload_reader_close(&f->reader);
		free(f->name);
		free(f);
	}
}

/* Ended by Ctrl-C, by the reader of our pipe, or by the clock: all of them are fine. */
static void follow_prepare(struct follow *follow)
{
	struct sigaction action = { .sa_handler = follow_stop }; /* no SA_RESTART: ends the sleep */
	struct rlimit limit;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max; /* a descriptor per process */
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	follow->begin_ns = follow->from_ns = follow_now();
	if (follow->past)
		follow->from_ns = follow->past_ns && follow->past_ns < follow->begin_ns
				      ? follow->begin_ns - follow->past_ns
				      : 0;
}

static bool follow_is_over(const struct follow *follow)
{
	double since = (double)gcpreload_elapsed(follow->begin_ns, follow_now());

	return follow->seconds > 0 && since >= follow->seconds * 1e9;
}

void follow_run(struct follow *follow)
{
	const struct timespec pause = { 0, INTERVAL };
	struct followed *f;

	follow_prepare(follow);
	if (!follow->n_pids)
		rings_say_others(&follow->choice);
	while (!stopped && !follow->error) {
		follow->to_realtime_ns = follow_to_realtime();
		rings_each(&follow->choice, follow_begin, follow, NULL);
		if (!follow->begun && !follow->first && follow->n_pids)
			text_complain(
			    "%d: no measurements yet, waiting for them; see: gcpreload doctor "
			    "--pid %d",
			    follow->pids[0], follow->pids[0]);
		follow->begun = true;
		for (f = follow->first; f; f = f->next)
			look_at(follow, f);
		forget_ended(follow);
		if (follow_is_over(follow))
			break;
		nanosleep(&pause, NULL);
	}
	/* What happened before the end belongs to it. */
	stopped = 0;
	for (f = follow->first; f; f = f->next) {
		look_at(follow, f);
		f->ended = true;
	}
	forget_ended(follow);
	free(follow->pids);
	follow->pids = NULL;
}

int follow_option(struct follow *follow, const struct command *command, int c, char *arg)
{
	const char *why;
	char *end;

	if (c == 'F') {
		follow->seconds = strtod(arg, &end);
		if (*end || end == arg || !(follow->seconds > 0))
			return options_wrong(command, "--for: %s: not a number of seconds", arg);
	} else if (rings_option(&follow->choice, c, &why) < 0) {
		return options_wrong(command, "%s: %s", arg, why);
	}
	return -1;
}

int follow_pids(struct follow *follow, const struct command *command, int n, char **words)
{
	long long pid;
	int i;

	follow->pids = memory_need(calloc((size_t)n + 1, sizeof *follow->pids));
	for (i = 0; i < n; i++) {
		if (text_number(words[i], 1, INT32_MAX, &pid) < 0)
			return options_wrong(command, "%s: not a process ID", words[i]);
		follow->pids[follow->n_pids++] = (int32_t)pid;
	}
	return -1;
}

/* SPDX-License-Identifier: MIT */
#include "cli/export/otlp.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "cli/export/otlp_message.h"
#include "cli/export/otlp_send.h"
#include "cli/memory.h"
#include "cli/text.h"

/* A message is closed and the next one begun beyond this; a resource has 0.2 MB at most. The
 * specification's limit is 64 MiB, common collectors take 20. */
#define LARGE_MESSAGE ((off_t)4 << 20)

#define MILLISECOND	1000000ull
#define SECOND		1000000000ull
#define FLUSH_NS	(5 * SECOND / 2) /* for a push under way at the end, and for the last */
#define LONGEST_BACKOFF (60 * SECOND)
#define LONGEST_WAIT_S	3600 /* of what a collector may ask for */
#define BACKOFF_DOUBLED 6
#define NEVER		UINT64_MAX

struct otlp {
	struct otlp_config config;
	struct otlp_style style;
	struct otlp_state state;
	struct otlp_sender *sender;
	_Atomic uint64_t give_up; /* time at which a request is broken off */

	enum otlp_answer said; /* what stderr knows of the collector */
	unsigned failures;     /* in a row, that may be retried */
	char *warned;	       /* the collector's last warning */

	bool once;
	bool started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under lock */
};

/* ---- a push ---- */

/* What it did not take is not sent again; the same warning is not said again. */
static void say_warning(struct otlp *otlp, const char *warning)
{
	if (otlp->warned && strcmp(otlp->warned, warning) == 0)
		return;
	text_complain("OTLP: %s: %s; rejected data points are not sent again", otlp->config.shown,
		      warning);
	free(otlp->warned);
	otlp->warned = memory_need(strdup(warning));
}

/* A change is said, the same again is not. */
static void otlp_say(struct otlp *otlp, const struct otlp_result *result)
{
	static const char *const advice[] = {
		[OTLP_REFUSED] = "check the log of the collector and gcpreload export --help",
		[OTLP_LATER] = "no data is lost, it is sent again later",
	};
	const char *url = otlp->config.shown;

	if (result->answer != otlp->said && result->answer == OTLP_ARRIVED)
		text_complain("OTLP: %s: works again", url);
	else if (result->answer != otlp->said && result->why)
		text_complain("OTLP: %s: %s; %s", url, result->why,
			      otlp->once && result->answer == OTLP_LATER ? "retrying"
									 : advice[result->answer]);
	otlp->said = result->answer;
	if (result->answer == OTLP_ARRIVED && result->why)
		say_warning(otlp, result->why);
}

/* Writes subjects from *i on into a message. Returns it, to be freed, or NULL where there is
 * nothing more to tell. */
static char *next_message(struct otlp *otlp, size_t *i, size_t *size)
{
	char *text = NULL;
	FILE *out = memory_need(open_memstream(&text, size));
	struct json json;
	bool any = false;

	otlp_message_begin(&json, out);
	while (*i < otlp->state.n_subjects && ftello(out) < LARGE_MESSAGE)
		any |= otlp_message_add(&json, otlp->state.subjects[(*i)++], &otlp->style);
	otlp_message_end(&json);
	if (fclose(out) != 0)
		return memory_need(NULL);
	if (any)
		return text;
	free(text);
	return NULL;
}

/* Reads the rings and sends what there is. *wait_s is set to what the collector asked for. */
static enum otlp_answer otlp_push(struct otlp *otlp, long *wait_s)
{
	struct otlp_result worst = { .answer = OTLP_ARRIVED }, result;
	size_t i = 0, first, size;
	char *text;

	otlp_state_look(&otlp->state);
	while (worst.answer != OTLP_LATER && i < otlp->state.n_subjects) {
		result = (struct otlp_result){ .answer = OTLP_ARRIVED };
		first = i;
		text = next_message(otlp, &i, &size);
		if (text)
			otlp_send(otlp->sender, text, size, &result);
		free(text);
		for (; result.answer == OTLP_ARRIVED && first < i; first++)
			otlp_state_arrived(otlp->state.subjects[first]);
		if (result.answer > worst.answer || !worst.why) {
			free(worst.why);
			worst = result;
		} else {
			free(result.why);
		}
	}
	otlp_say(otlp, &worst);
	free(worst.why);
	otlp->failures = worst.answer == OTLP_LATER ? otlp->failures + 1 : 0;
	*wait_s = worst.wait_s < LONGEST_WAIT_S ? worst.wait_s : LONGEST_WAIT_S;
	return worst.answer;
}

/* Exponential, from a second on, never longer than the interval, with jitter. */
static uint64_t otlp_backoff(const struct otlp *otlp)
{
	unsigned doubled = otlp->failures ? otlp->failures - 1 : 0;
	uint64_t longest = (uint64_t)otlp->config.interval_ms * MILLISECOND, wait;
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
		chance = UINT32_MAX / 2;
	if (longest > LONGEST_BACKOFF)
		longest = LONGEST_BACKOFF;
	wait = SECOND << (doubled < BACKOFF_DOUBLED ? doubled : BACKOFF_DOUBLED);
	wait = wait < longest ? wait : longest;
	return wait / 2 + (uint64_t)((double)(wait / 2) * chance / UINT32_MAX);
}

static uint64_t retry_after(const struct otlp *otlp, long wait_s)
{
	return wait_s > 0 ? (uint64_t)wait_s * SECOND : otlp_backoff(otlp);
}

/* ---- the thread ---- */

/* Until a time of otlp_clock, or the end. Returns whether it is the end. */
static bool wait_until(struct otlp *otlp, uint64_t until)
{
	struct timespec ts = { .tv_sec = (time_t)(until / SECOND),
			       .tv_nsec = (long)(until % SECOND) };
	bool stop;
	int ret = 0;

	pthread_mutex_lock(&otlp->lock);
	while (!otlp->stop && ret == 0)
		ret = pthread_cond_timedwait(&otlp->wake, &otlp->lock, &ts);
	stop = otlp->stop;
	pthread_mutex_unlock(&otlp->lock);
	return stop;
}

/* One export, its time limited. otlp_free may have set an earlier limit meanwhile: it sets stop
 * first, under the lock. */
static enum otlp_answer export_once(struct otlp *otlp, uint64_t limit_ns, bool last, long *wait_s)
{
	pthread_mutex_lock(&otlp->lock);
	if (last || !otlp->stop)
		atomic_store(&otlp->give_up, otlp_clock() + limit_ns);
	pthread_mutex_unlock(&otlp->lock);
	return otlp_push(otlp, wait_s);
}

static void *otlp_run(void *arg)
{
	struct otlp *otlp = arg;
	uint64_t limit = (uint64_t)otlp->config.export_timeout_ms * MILLISECOND;
	uint64_t due, begun;
	enum otlp_answer answer;
	long wait_s;

	do {
		begun = otlp_clock();
		answer = export_once(otlp, limit, false, &wait_s);
		due = answer == OTLP_LATER
			  ? otlp_clock() + retry_after(otlp, wait_s)
			  : begun + (uint64_t)otlp->config.interval_ms * MILLISECOND;
	} while (!wait_until(otlp, due));
	export_once(otlp, limit < FLUSH_NS ? limit : FLUSH_NS, true, &wait_s);
	return NULL;
}

/* ---- */

struct otlp *otlp_new(const struct otlp_options *options, struct gather *gather)
{
	struct otlp *otlp = memory_need(calloc(1, sizeof *otlp));
	pthread_condattr_t attributes;

	otlp->state.gather = *gather;
	memset(gather, 0, sizeof *gather);
	otlp->state.per_process = options->per_process;
	if (otlp_config_read(&otlp->config, options->endpoint) < 0) {
		otlp_free(otlp);
		return NULL;
	}
	if (otlp->config.disabled)
		text_complain("OTLP: OTEL_SDK_DISABLED is true: nothing is pushed");
	otlp->style = (struct otlp_style){ .attributes = &otlp->config.attributes,
					   .delta_sums = otlp->config.delta_sums,
					   .delta_histograms = otlp->config.delta_histograms,
					   .explicit_histograms = otlp->config.explicit_histograms,
					   .command_line = options->command_line };
	otlp->give_up = NEVER;
	otlp->sender = otlp_sender_new(&otlp->config, &otlp->give_up);
	pthread_mutex_init(&otlp->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&otlp->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	return otlp;
}

bool otlp_once(struct otlp *otlp)
{
	uint64_t limit = otlp_clock() + (uint64_t)otlp->config.export_timeout_ms * MILLISECOND;
	enum otlp_answer answer = OTLP_ARRIVED;
	uint64_t due = 0;
	long wait_s;

	if (otlp->config.disabled)
		return true;
	otlp->once = true;
	if (otlp->style.delta_histograms)
		text_complain("OTLP: a single push has no earlier one to compute deltas from: its "
			      "counts are cumulative");
	otlp->style.delta_sums = otlp->style.delta_histograms = false;
	atomic_store(&otlp->give_up, limit);
	do {
		if (due)
			wait_until(otlp, due);
		answer = otlp_push(otlp, &wait_s);
		due = otlp_clock() + retry_after(otlp, wait_s);
	} while (answer == OTLP_LATER && due < limit);
	if (answer == OTLP_LATER)
		text_complain("OTLP: %s: timed out, see OTEL_METRIC_EXPORT_TIMEOUT",
			      otlp->config.shown);
	if (!otlp->state.n_subjects)
		text_complain("OTLP: no measurements yet: nothing was pushed");
	return answer == OTLP_ARRIVED;
}

void otlp_start(struct otlp *otlp)
{
	size_t i;

	if (otlp->config.disabled)
		return;
	/* A delta counts from here on: what was before, another run may have pushed. */
	otlp_state_look(&otlp->state);
	for (i = 0; otlp->style.delta_histograms && i < otlp->state.n_subjects; i++)
		otlp_state_arrived(otlp->state.subjects[i]);
	otlp->started = pthread_create(&otlp->thread, NULL, otlp_run, otlp) == 0;
	if (!otlp->started)
		text_complain("OTLP: a thread cannot be started: nothing is pushed");
}

void otlp_free(struct otlp *otlp)
{
	if (otlp->started) {
		pthread_mutex_lock(&otlp->lock);
		otlp->stop = true;
		atomic_store(&otlp->give_up, otlp_clock() + FLUSH_NS);
		pthread_cond_signal(&otlp->wake);
		pthread_mutex_unlock(&otlp->lock);
		pthread_join(otlp->thread, NULL);
	}
	if (otlp->sender) {
		otlp_sender_free(otlp->sender);
		pthread_cond_destroy(&otlp->wake);
		pthread_mutex_destroy(&otlp->lock);
	}
	otlp_state_free(&otlp->state);
	otlp_config_free(&otlp->config);
	free(otlp->warned);
	free(otlp);
}

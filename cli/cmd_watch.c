/* SPDX-License-Identifier: MIT */
/* gcpreload watch: a line per collection as it happens. Looks ten times a second; between two
 * looks the rings keep the events, and say how many they could not keep. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/rings.h"
#include "cli/text.h"

#define SECOND	 1000000000ll
#define INTERVAL (SECOND / 10)

/* A ring that is followed. */
struct followed {
	char *name; /* unique in the world: pid, start time, random */
	struct gcpreload_reader reader;
	uint64_t told_lost;
	bool ended;
	struct followed *next;
};

struct watch {
	struct rings_choice choice;
	bool json;
	int32_t pid;	/* 0: all */
	double seconds; /* how long; 0: until it is stopped */
	struct followed *first;
	bool begun; /* the first look is over: what appears now is new */
	uint64_t begin_ns;
	int64_t to_realtime_ns; /* what to add to an event's time */
	int error;		/* why nothing more can be written, 0: it can */
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
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

static void follow(void *arg, struct ring *ring)
{
	struct watch *watch = arg;
	struct followed *f;

	if (ring->why || !ring->alive || (watch->pid && ring->reader.header.pid != watch->pid))
		return;
	for (f = watch->first; f; f = f->next)
		if (strcmp(f->name, ring->name) == 0)
			return;
	f = need(calloc(1, sizeof *f));
	f->name = need(strdup(ring->name));
	f->reader = ring->reader;
	ring->reader.fd = -1; /* ours now */
	/* A new process's events are told from its beginning, an old one's from now on. */
	if (!watch->begun)
		f->reader.next = f->reader.header.head;
	f->next = watch->first;
	watch->first = f;
}

/* CLOCK_REALTIME of an event. Unsigned, because a damaged ring may say anything. */
static int64_t realtime(const struct watch *watch, uint64_t ns)
{
	return (int64_t)(ns + (uint64_t)watch->to_realtime_ns);
}

static const char *clock_text(const struct watch *watch, uint64_t ns, char *out, size_t size)
{
	int64_t real = realtime(watch, ns);
	time_t seconds = (time_t)(real / SECOND);
	struct tm tm;
	char text[32];

	if (!localtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%H:%M:%S", &tm))
		return "?";
	snprintf(out, size, "%s.%03d", text, (int)(real % SECOND / 1000000));
	return out;
}

static void tell_event(const struct watch *watch, const struct gcpreload_header *h,
		       const struct gcpreload_slot *slot)
{
	struct json json;
	char when[64], duration[64];

	if (!watch->json) {
		printf("%s  %d  generation %u  %-9s  %8s  collected %" PRIu64 "\n",
		       clock_text(watch, slot->start_ns, when, sizeof when), h->pid,
		       slot->generation, gcpreload_cause_name(slot->cause),
		       text_duration(duration, sizeof duration, (double)slot->duration_ns / 1e9),
		       slot->collected);
		return;
	}
	json_start(&json, stdout, false);
	json_open(&json, '{');
	json_pair_double(&json, "time", (double)realtime(watch, slot->start_ns) / 1e9);
	json_pair_int(&json, "pid", h->pid);
	json_pair_uint(&json, "generation", slot->generation);
	json_pair_string(&json, "cause", gcpreload_cause_name(slot->cause));
	json_pair_string(&json, "period", gcpreload_period_name(slot->period));
	json_pair_double(&json, "seconds", (double)slot->duration_ns / 1e9);
	json_pair_uint(&json, "collected", slot->collected);
	json_pair_uint(&json, "uncollectable", slot->uncollectable);
	json_pair_uint(&json, "thread", slot->thread);
	json_close(&json, '}');
	json_finish(&json);
}

static void tell_lost(const struct watch *watch, struct followed *f)
{
	struct json json;
	uint64_t n = f->reader.lost - f->told_lost;

	if (!n)
		return;
	f->told_lost = f->reader.lost;
	if (!watch->json) {
		printf("%d: %" PRIu64 " events lost\n", f->reader.header.pid, n);
		return;
	}
	json_start(&json, stdout, false);
	json_open(&json, '{');
	json_pair_int(&json, "pid", f->reader.header.pid);
	json_pair_uint(&json, "events_lost", n);
	json_close(&json, '}');
	json_finish(&json);
}

static void note_error(struct watch *watch)
{
	if (ferror(stdout) && !watch->error)
		watch->error = errno;
}

static void look_at(struct watch *watch, struct followed *f)
{
	struct gcpreload_slot slot;
	const char *why;
	bool alive = gcpreload_reader_alive(&f->reader);

	if (gcpreload_reader_refresh(&f->reader, &why) < 0) {
		complain("%d: no longer readable: %s; it is left out", f->reader.header.pid, why);
		f->ended = true;
		return;
	}
	while (!stopped && !watch->error && gcpreload_reader_next(&f->reader, &slot) == 1) {
		tell_lost(watch, f);
		/* What came before us is history: report has it. */
		if (slot.start_ns + slot.duration_ns >= watch->begin_ns)
			tell_event(watch, &f->reader.header, &slot);
		note_error(watch);
	}
	tell_lost(watch, f);
	note_error(watch);
	f->ended = !alive;
}

static void forget_ended(struct watch *watch)
{
	struct followed **at = &watch->first, *f;

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
static void prepare(struct watch *watch)
{
	struct sigaction action = { .sa_handler = stop }; /* no SA_RESTART: ends the sleep */
	struct rlimit limit;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max; /* a descriptor per process */
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	watch->begin_ns = (uint64_t)clock_ns(CLOCK_MONOTONIC);
}

static void run(struct watch *watch)
{
	const struct timespec pause = { 0, INTERVAL };
	struct followed *f;

	while (!stopped && !watch->error) {
		watch->to_realtime_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
		rings_each(&watch->choice, follow, watch, NULL);
		if (!watch->begun && !watch->first && watch->pid)
			complain("%d: has no measurements yet: waiting for them; see also: "
				 "gcpreload doctor --pid %d",
				 watch->pid, watch->pid);
		watch->begun = true;
		for (f = watch->first; f; f = f->next)
			look_at(watch, f);
		forget_ended(watch);
		if (watch->seconds > 0 && (double)((uint64_t)clock_ns(CLOCK_MONOTONIC) -
						   watch->begin_ns) >= watch->seconds * 1e9)
			break;
		nanosleep(&pause, NULL);
	}
}

static int watch_options(struct watch *watch, const struct command *command, int argc, char **argv)
{
	static const struct option longs[] = { RINGS_OPTIONS,
					       OPTION_JSON,
					       OPTION_HELP,
					       { "for", required_argument, NULL, 'F' },
					       { 0 } };
	struct options o = { command, argc, argv, ":" RINGS_SHORTS "jh", longs, -1, 0 };
	const char *why;
	char *end;
	long long pid;
	int c;

	while ((c = options_next(&o)) != -1) {
		if (o.exit >= 0)
			return o.exit;
		if (c == 'j') {
			watch->json = true;
		} else if (c == 'F') {
			watch->seconds = strtod(optarg, &end);
			if (*end || end == optarg || !(watch->seconds > 0))
				return options_wrong(command, "--for: %s is no number of seconds",
						     optarg);
		} else if (rings_option(&watch->choice, c, &why) < 0) {
			return options_wrong(command, "%s: %s", optarg, why);
		}
	}
	if (optind < argc) {
		if (text_number(argv[optind], 1, INT32_MAX, &pid) < 0)
			return options_wrong(command, "%s: not a process id", argv[optind]);
		watch->pid = (int32_t)pid;
		optind++;
	}
	if (optind < argc)
		return options_wrong(command, "%s: one process at a time, or all", argv[optind]);
	return -1;
}

static int exec(const struct command *command, int argc, char **argv)
{
	struct watch watch = { 0 };
	struct followed *f;
	int ret = watch_options(&watch, command, argc, argv);

	if (ret >= 0)
		return ret;
	prepare(&watch);
	run(&watch);
	for (f = watch.first; f; f = f->next)
		f->ended = true;
	forget_ended(&watch);
	if (watch.error == EPIPE) { /* whoever read us has seen enough */
		__fpurge(stdout);
		clearerr(stdout);
	}
	return EXIT_FINE;
}

const struct command command_watch = {
	.name = "watch",
	.usage = "[--json] [--for SECONDS] [--dir DIR] [--user UID | --all-users] [PID]",
	.summary = "print a line per collection as it happens",
	.help = "Without PID all processes, also those that begin to serve later. Ends on Ctrl-C.\n"
		"\n"
		"  --for SECONDS      end by itself after that\n"
		"  --json             a line with an object per collection; {\"pid\", "
		"\"events_lost\"}\n"
		"                     where a process was faster than this command\n" RINGS_HELP,
	.exec = exec,
};

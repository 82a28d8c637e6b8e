/* SPDX-License-Identifier: MIT */
/*
 * gcpreload trace: collections as a trace that Perfetto and chrome://tracing open: the JSON array
 * format of Chrome's Trace Event Format, a process for each process and a thread for each
 * generation. Times are microseconds of CLOCK_MONOTONIC, so traces of other tools on that clock
 * can be laid beside it. Slow collections have the ids of the span that they hit.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/json.h"
#include "cli/marks.h"
#include "cli/options.h"
#include "cli/text.h"
#include "rules/numbers.h"

#define LAST_MOST_NS 1000000000000000ull /* of --last: eleven days */

struct trace {
	struct follow follow;
	const char *path;
	FILE *out;
	struct json json;
	uint64_t events;
	uint64_t lost;
	uint64_t processes;
};

static void trace_note_error(struct trace *trace)
{
	if (ferror(trace->out) && !trace->follow.error)
		trace->follow.error = errno ? errno : EIO;
}

static void trace_head(struct trace *trace, const char *name, const char *phase,
		       const struct gcpreload_header *h, unsigned generation)
{
	struct json *json = &trace->json;

	json_open(json, '{');
	json_pair_string(json, "name", name);
	json_pair_string(json, "ph", phase);
	json_pair_int(json, "pid", h->pid);
	json_pair_uint(json, "tid", generation);
}

static void name_track(struct trace *trace, const struct gcpreload_header *h, const char *what,
		       unsigned generation, const char *name)
{
	struct json *json = &trace->json;

	trace_head(trace, what, "M", h, generation);
	json_key(json, "args");
	json_open(json, '{');
	json_pair_string(json, "name", name);
	json_close(json, '}');
	json_close(json, '}');
}

static void name_process(void *arg, const struct gcpreload_header *h)
{
	struct trace *trace = arg;
	char text[sizeof h->command + 1], name[32];
	unsigned generation;

	snprintf(text, sizeof text, "%.*s", (int)sizeof h->command, h->command);
	name_track(trace, h, "process_name", 0, text);
	for (generation = 0; generation < GCPRELOAD_GENERATIONS; generation++) {
		snprintf(name, sizeof name, "generation %u", generation);
		name_track(trace, h, "thread_name", generation, name);
	}
	trace->processes++;
	trace_note_error(trace);
}

/* A time with its unit, so that it is no number of events. */
static bool trace_duration(const char *text, uint64_t *ns)
{
	const char *end = text + strlen(text);

	return end > text && (end[-1] < '0' || end[-1] > '9') &&
	       numbers_time(text, end, NUMBERS_SECONDS, LAST_MOST_NS, ns) && *ns > 0;
}

static int trace_last(struct trace *trace, const struct command *command, const char *text)
{
	long long n;

	trace->follow.past = true;
	if (!text || trace_duration(text, &trace->follow.past_ns))
		return -1;
	if (text_number(text, 1, INT64_MAX, &n) < 0)
		return options_wrong(command,
				     "--last=%s: neither a number of events nor a time like 30s, "
				     "10m or 1h",
				     text);
	trace->follow.past_events = (uint64_t)n;
	return -1;
}

static void trace_add_event(void *arg, const struct gcpreload_header *h,
			    const struct gcpreload_slot *slot, const struct gcpreload_hit *hit)
{
	struct trace *trace = arg;
	struct json *json = &trace->json;

	trace_head(trace, gcpreload_cause_name(slot->cause), "X", h, slot->generation);
	json_pair_string(json, "cat", "gc");
	json_pair_double(json, "ts", (double)slot->start_ns / 1e3);
	json_pair_double(json, "dur", (double)slot->duration_ns / 1e3);
	json_key(json, "args");
	json_open(json, '{');
	json_pair_string(json, "period", gcpreload_period_name(slot->period));
	json_pair_uint(json, "collected", slot->collected);
	json_pair_uint(json, "uncollectable", slot->uncollectable);
	json_pair_uint(json, "thread", slot->thread);
	follow_json_hit(json, hit);
	json_close(json, '}');
	json_close(json, '}');
	trace->events++;
	trace_note_error(trace);
}

/* On a track of their own. */
#define MARKS_TRACK GCPRELOAD_GENERATIONS

static void add_span(struct trace *trace, const struct gcpreload_header *h, const char *name,
		     uint64_t start_ns, uint64_t duration_ns)
{
	struct json *json = &trace->json;

	trace_head(trace, name, "X", h, MARKS_TRACK);
	json_pair_string(json, "cat", "gc");
	json_pair_double(json, "ts", (double)start_ns / 1e3);
	json_pair_double(json, "dur", (double)duration_ns / 1e3);
}

/* The process stands still in the fork only, which is a span within that of the mark. */
static void add_mark(void *arg, const struct gcpreload_header *h, const struct gcpreload_mark *mark)
{
	struct trace *trace = arg;
	struct json *json = &trace->json;
	char name[64];

	name_track(trace, h, "thread_name", MARKS_TRACK, "marks");
	snprintf(name, sizeof name, "mark: %s", gcpreload_mark_why_name(mark->why));
	add_span(trace, h, name, mark->start_ns,
		 mark->mark_ns > mark->fork_ns ? mark->mark_ns : mark->fork_ns);
	json_key(json, "args");
	json_open(json, '{');
	marks_json(mark, json);
	json_close(json, '}');
	json_close(json, '}');
	add_span(trace, h, "fork", mark->start_ns, mark->fork_ns);
	json_close(json, '}');
	trace_note_error(trace);
}

/* As an instant of the process, where the reader was when it saw the gap. */
static void add_lost(void *arg, const struct gcpreload_header *h, uint64_t n)
{
	struct trace *trace = arg;
	struct json *json = &trace->json;

	trace_head(trace, "events lost", "i", h, 0);
	json_pair_string(json, "cat", "gc");
	json_pair_string(json, "s", "p");
	json_pair_double(json, "ts", (double)follow_now() / 1e3);
	json_key(json, "args");
	json_open(json, '{');
	json_pair_uint(json, "lost", n);
	json_close(json, '}');
	json_close(json, '}');
	trace->lost += n;
	trace_note_error(trace);
}

static int trace_options(struct trace *trace, const struct command *command, int argc, char **argv)
{
	static const struct option longs[] = { FOLLOW_OPTIONS,
					       OPTION_HELP,
					       { "output", required_argument, NULL, 'o' },
					       { "last", optional_argument, NULL, 'L' },
					       { 0 } };
	struct options o = { command, argc, argv, ":" RINGS_SHORTS "o:h", longs, -1, 0 };
	uint64_t ns;
	int c, ret;

	while ((c = options_next(&o)) != -1) {
		if (o.exit >= 0)
			return o.exit;
		if (c == 'o') {
			trace->path = optarg;
			continue;
		}
		ret = c == 'L' ? trace_last(trace, command, optarg)
			       : follow_option(&trace->follow, command, c, optarg);
		if (ret >= 0)
			return ret;
	}
	if (!trace->path)
		return options_wrong(
		    command, "no output file given; add -o FILE, or -o - for standard output");
	if (trace->follow.past && optind < argc && trace_duration(argv[optind], &ns))
		return options_wrong(command, "%s: not a process ID; write --last=%s", argv[optind],
				     argv[optind]);
	return follow_pids(&trace->follow, command, argc - optind, argv + optind);
}

static int open_output(struct trace *trace)
{
	if (strcmp(trace->path, "-") == 0)
		trace->out = stdout;
	else
		trace->out = fopen(trace->path, "we");
	if (trace->out)
		return 0;
	text_complain("%s: %s", trace->path, strerror(errno));
	return -1;
}

/* Whatever was written is a whole JSON text. */
static int trace_end(struct trace *trace)
{
	json_close(&trace->json, ']');
	json_finish(&trace->json);
	if (fflush(trace->out) != 0)
		trace_note_error(trace);
	if (trace->follow.error && trace->follow.error != EPIPE) {
		text_complain("%s: cannot be written: %s; the trace is incomplete", trace->path,
			      strerror(trace->follow.error));
		return EXIT_NO;
	}
	if (trace->out != stdout)
		fprintf(stderr,
			"%s: %" PRIu64 " collections of %" PRIu64 " processes%s; open it in "
			"https://ui.perfetto.dev or chrome://tracing\n",
			trace->path, trace->events, trace->processes,
			trace->lost ? ", some events were lost" : "");
	return EXIT_FINE;
}

static int exec_trace(const struct command *command, int argc, char **argv)
{
	struct trace trace = {
		.follow = { .began = name_process,
			    .event = trace_add_event,
			    .lost = add_lost,
			    .mark = add_mark },
	};
	int ret = trace_options(&trace, command, argc, argv);

	if (ret >= 0)
		return ret;
	if (open_output(&trace) < 0)
		return EXIT_NO;
	trace.follow.arg = &trace;
	json_start(&trace.json, trace.out, true);
	json_open(&trace.json, '[');
	if (isatty(STDERR_FILENO) && !(trace.follow.seconds > 0))
		fprintf(stderr, "recording; press Ctrl-C to stop\n");
	follow_run(&trace.follow);
	return trace_end(&trace);
}

const struct command command_trace = {
	.name = "trace",
	.usage = "-o FILE [--last[=N|DURATION]] [--for SECONDS] [--dir DIR] "
		 "[--user UID | --all-users] [PID...]",
	.summary = "record collections as a trace for Perfetto or chrome://tracing",
	.help =
	    "Without PID: all processes, including those that become ready later. Ctrl-C stops.\n"
	    "Each process and generation is a track, each collection a slice; so are the marks of\n"
	    "mode concurrent.\n"
	    "\n"
	    "  -o, --output FILE  write the trace to FILE; - is standard output\n"
	    "  --last[=N|DURATION]\n"
	    "                     begin with what the rings still have: all of it, the\n"
	    "                     last N of each process, or the last 30s, 10m, 1h\n" FOLLOW_HELP
		RINGS_HELP,
	.exec = exec_trace,
};

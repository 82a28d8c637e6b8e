/* SPDX-License-Identifier: MIT */
/* gcpreload watch: a line per collection as it happens. */
#include <errno.h>
#include <inttypes.h>
#include <stdio_ext.h>

#include "cli/command.h"
#include "cli/follow.h"
#include "cli/json.h"
#include "cli/marks.h"
#include "cli/options.h"
#include "cli/text.h"

struct watch {
	struct follow follow;
	bool json;
};

/* Nothing more can be written: the end. */
static void watch_note_error(struct watch *watch)
{
	if (ferror(stdout) && !watch->follow.error)
		watch->follow.error = errno;
}

static const char *watch_span(char *out, size_t size, const struct gcpreload_hit *hit)
{
	char trace_id[GCPRELOAD_TRACE_ID_TEXT], span_id[GCPRELOAD_SPAN_ID_TEXT];

	*out = '\0';
	if (hit) {
		gcpreload_span_text(&hit->span, trace_id, span_id);
		snprintf(out, size, "  trace %s span %s", trace_id, span_id);
	}
	return out;
}

static void tell_event(void *arg, const struct gcpreload_header *h,
		       const struct gcpreload_slot *slot, const struct gcpreload_hit *hit)
{
	struct watch *watch = arg;
	struct json json;
	char when[64], duration[64], span[80];

	if (!watch->json) {
		printf(
		    "%s  %d  generation %u  %-9s  %8s  collected %" PRIu64 "%s\n",
		    text_clock(when, sizeof when, follow_realtime(&watch->follow, slot->start_ns)),
		    h->pid, slot->generation, gcpreload_cause_name(slot->cause),
		    text_duration(duration, sizeof duration, (double)slot->duration_ns / 1e9),
		    slot->collected, watch_span(span, sizeof span, hit));
		watch_note_error(watch);
		return;
	}
	json_start(&json, stdout, false);
	json_open(&json, '{');
	json_pair_double(&json, "time",
			 (double)follow_realtime(&watch->follow, slot->start_ns) / 1e9);
	json_pair_int(&json, "pid", h->pid);
	json_pair_uint(&json, "generation", slot->generation);
	json_pair_string(&json, "cause", gcpreload_cause_name(slot->cause));
	json_pair_string(&json, "period", gcpreload_period_name(slot->period));
	json_pair_double(&json, "seconds", (double)slot->duration_ns / 1e9);
	json_pair_uint(&json, "collected", slot->collected);
	json_pair_uint(&json, "uncollectable", slot->uncollectable);
	json_pair_uint(&json, "thread", slot->thread);
	follow_json_hit(&json, hit);
	json_close(&json, '}');
	json_finish(&json);
	watch_note_error(watch);
}

static void watch_tell_lost(void *arg, const struct gcpreload_header *h, uint64_t n)
{
	struct watch *watch = arg;
	struct json json;

	if (watch->json) {
		json_start(&json, stdout, false);
		json_open(&json, '{');
		json_pair_int(&json, "pid", h->pid);
		json_pair_uint(&json, "events_lost", n);
		json_close(&json, '}');
		json_finish(&json);
	} else {
		printf("%d: %" PRIu64 " events lost\n", h->pid, n);
	}
	watch_note_error(watch);
}

static void tell_mark(void *arg, const struct gcpreload_header *h,
		      const struct gcpreload_mark *mark)
{
	struct watch *watch = arg;
	int64_t when = follow_realtime(&watch->follow, mark->start_ns);
	struct json json;
	char clock[64], line[512];

	if (watch->json) {
		json_start(&json, stdout, false);
		json_open(&json, '{');
		json_pair_double(&json, "time", (double)when / 1e9);
		json_pair_int(&json, "pid", h->pid);
		marks_json(mark, &json);
		json_close(&json, '}');
		json_finish(&json);
	} else {
		printf("%s  %d  %s\n", text_clock(clock, sizeof clock, when), h->pid,
		       marks_line(line, sizeof line, mark));
	}
	watch_note_error(watch);
}

static int watch_options(struct watch *watch, const struct command *command, int argc, char **argv)
{
	static const struct option longs[] = { FOLLOW_OPTIONS, OPTION_JSON, OPTION_HELP, { 0 } };
	struct options o = { command, argc, argv, ":" RINGS_SHORTS "jh", longs, -1, 0 };
	int c, ret;

	while ((c = options_next(&o)) != -1) {
		if (o.exit >= 0)
			return o.exit;
		if (c == 'j') {
			watch->json = true;
			continue;
		}
		ret = follow_option(&watch->follow, command, c, optarg);
		if (ret >= 0)
			return ret;
	}
	if (optind + 1 < argc)
		return options_wrong(
		    command,
		    "%s: unexpected argument; watch takes one PID, or none for all processes",
		    argv[optind + 1]);
	return follow_pids(&watch->follow, command, argc - optind, argv + optind);
}

static int exec_watch(const struct command *command, int argc, char **argv)
{
	struct watch watch = {
		.follow = { .event = tell_event, .lost = watch_tell_lost, .mark = tell_mark }
	};
	int ret = watch_options(&watch, command, argc, argv);

	if (ret >= 0)
		return ret;
	watch.follow.arg = &watch;
	setvbuf(stdout, NULL, _IOLBF, 0);
	follow_run(&watch.follow);
	if (watch.follow.error == EPIPE) { /* whoever read us has seen enough */
		__fpurge(stdout);
		clearerr(stdout);
	}
	return EXIT_FINE;
}

const struct command command_watch = {
	.name = "watch",
	.usage = "[--json] [--for SECONDS] [--dir DIR] [--user UID | --all-users] [PID]",
	.summary = "print each collection as it happens",
	.help =
	    "Without PID: all processes, including those that become ready later. Ctrl-C stops.\n"
	    "A mark of mode concurrent is printed when it is over.\n"
	    "\n" FOLLOW_HELP
	    "  --json             print a JSON object per line; {\"pid\", \"events_lost\"} where\n"
	    "                     events were overwritten before they were read\n" RINGS_HELP,
	.exec = exec_watch,
};

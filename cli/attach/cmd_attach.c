/* SPDX-License-Identifier: MIT */
/* gcpreload attach and detach: the library into a server that runs, and out of use again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/attach/attach.h"
#include "cli/attach/step.h"
#include "cli/command.h"
#include "cli/json.h"
#include "cli/memory.h"
#include "cli/options.h"
#include "cli/text.h"

#define LONGEST 86400

enum { STEP_OPTION = 512 };

struct attach_line {
	struct attach_wish wish;
	const char *mode, *dir;
	bool json, detach;
};

/* The values that the library takes for a mode; "off" loads nothing. */
static const char *const attach_modes[] = { "observe", "freeze", "idle", "concurrent" };

static bool is_a_mode(const char *word)
{
	size_t i;

	for (i = 0; i < sizeof attach_modes / sizeof *attach_modes; i++)
		if (strcmp(word, attach_modes[i]) == 0)
			return true;
	return false;
}

/* Returns -1 where all is well. */
static int attach_take_option(struct attach_line *line, struct options *o, int c)
{
	long long number;

	switch (c) {
	case 'j':
		line->json = line->wish.quiet = true;
		return -1;
	case 'm':
		line->mode = optarg;
		return is_a_mode(optarg) ? -1
					 : options_wrong(o->command,
							 "%s: not a mode for attach; use observe, "
							 "freeze, idle or concurrent",
							 optarg);
	case 'd':
		line->dir = optarg;
		return *optarg == '/'
			   ? -1
			   : options_wrong(o->command, "%s: --dir takes an absolute path", optarg);
	case 'l':
		line->wish.library = optarg;
		return -1;
	case 't':
		if (text_number(optarg, 1, LONGEST, &number) < 0)
			return options_wrong(o->command,
					     "%s: --timeout takes seconds, from 1 to %d", optarg,
					     LONGEST);
		line->wish.timeout = (unsigned)number;
		return -1;
	case STEP_OPTION: /* not in the help: for tests */
		step_end_behind(atol(optarg));
		return -1;
	default:
		return o->exit;
	}
}

static const struct option attach_options[] = {
	OPTION_HELP,
	OPTION_JSON,
	{ "timeout", required_argument, NULL, 't' },
	{ "end-behind-step", required_argument, NULL, STEP_OPTION },
	{ "mode", required_argument, NULL, 'm' },
	{ "dir", required_argument, NULL, 'd' },
	{ "library", required_argument, NULL, 'l' },
	{ NULL, 0, NULL, 0 },
};

static const struct option detach_options[] = {
	OPTION_HELP,
	OPTION_JSON,
	{ "timeout", required_argument, NULL, 't' },
	{ "end-behind-step", required_argument, NULL, STEP_OPTION },
	{ NULL, 0, NULL, 0 },
};

static void print_attach_json(const struct attach_line *line, const struct attach_outcome *outcome)
{
	struct json json;

	json_start(&json, stdout, true);
	json_open(&json, '{');
	json_pair_int(&json, "pid", line->wish.pid);
	json_pair_bool(&json, line->detach ? "detached" : "attached", !outcome->why);
	json_pair_string(&json, "why", outcome->why);
	if (!line->detach)
		json_pair_string(&json, "mode", line->mode);
	json_pair_string(&json, "library", *outcome->library ? outcome->library : NULL);
	json_pair_double(&json, "seconds", outcome->seconds);
	json_close(&json, '}');
	json_finish(&json);
}

static int attach_run(struct attach_line *line)
{
	struct attach_outcome outcome;
	char *settings = NULL;
	int ret;

	if (!line->detach)
		settings = format_text("GCPRELOAD_MODE=%s\n%s%s%s", line->mode,
				       line->dir ? "GCPRELOAD_DIR=" : "",
				       line->dir ? line->dir : "", line->dir ? "\n" : "");
	line->wish.settings = settings;
	attach_do(&line->wish, &outcome);
	ret = outcome.why ? EXIT_NO : EXIT_FINE;
	if (line->json)
		print_attach_json(line, &outcome);
	else if (outcome.why)
		text_complain("%s", outcome.why);
	else if (line->detach)
		printf("%d: detached\n", (int)line->wish.pid);
	else
		printf("%d: attached, CPython 3.%d, mode %s; see: gcpreload ps\n",
		       (int)line->wish.pid, outcome.python_minor, line->mode);
	attach_outcome_free(&outcome);
	free(settings);
	return ret;
}

static int attach_or_detach(const struct command *command, int argc, char **argv, bool detach)
{
	struct attach_line line = { .mode = "observe", .detach = detach, .wish.timeout = 60 };
	struct options o = { .command = command,
			     .argc = argc,
			     .argv = argv,
			     .shorts = detach ? ":hj" : ":hjm:",
			     .longs = detach ? detach_options : attach_options };
	long long pid;
	int c, ret;

	line.dir = detach ? NULL : getenv("GCPRELOAD_DIR");
	if (line.dir && *line.dir != '/')
		line.dir = NULL;
	while ((c = options_next(&o)) >= 0) {
		ret = attach_take_option(&line, &o, c);
		if (ret >= 0)
			return ret;
	}
	if (argc - optind != 1)
		return options_wrong(command,
				     argc == optind ? "no PID given" : "takes one PID at a time");
	if (text_number(argv[optind], 1, INT32_MAX, &pid) < 0)
		return options_wrong(command, "%s: not a PID", argv[optind]);
	line.wish.pid = (pid_t)pid;
	return attach_run(&line);
}

static int exec_attach(const struct command *command, int argc, char **argv)
{
	return attach_or_detach(command, argc, argv, false);
}

static int exec_detach(const struct command *command, int argc, char **argv)
{
	return attach_or_detach(command, argc, argv, true);
}

#define TIMEOUT_HELP                                                                               \
	"  --timeout SECONDS  how long to wait for the main thread (default: 60)\n"                \
	"  --json             print the outcome as a JSON object\n"

const struct command command_attach = {
	.name = "attach",
	.usage = "[-m MODE] [--dir DIR] [--library FILE] [--timeout SECONDS] [--json] PID",
	.summary = "load the library into a server that runs, without a restart",
	.help =
	    "By default it only measures. CPython 3.7 to 3.14 on x86-64 with glibc; for others\n"
	    "it says why not and does nothing. See docs/attach.md.\n"
	    "\n"
	    "  -m, --mode MODE    observe (default), freeze, idle or concurrent\n"
	    "  --dir DIR          keep the measurements in DIR (default: GCPRELOAD_DIR, or\n"
	    "                     /dev/shm)\n"
	    "  --library FILE     load FILE, an absolute path as the process sees it\n"
	    "                     (default: the library beside this command)\n" TIMEOUT_HELP "\n"
	    "The main thread is stopped for a moment, three times, and then loads the library\n"
	    "when it next runs Python code: a server that waits does so with its next request.\n"
	    "Where that does not come in time nothing is done. It needs the right to trace the\n"
	    "process: its own user or root, and kernel.yama.ptrace_scope 0 or root.\n"
	    "\n"
	    "Exit status 0: attached. 1: refused, or not in time; the reason is printed.\n",
	.exec = exec_attach,
};

const struct command command_detach = {
	.name = "detach",
	.usage = "[--timeout SECONDS] [--json] PID",
	.summary = "undo attach: restore the collector, stop measuring",
	.help = "The thresholds are restored, what was frozen is unfrozen, and the callback is\n"
		"removed. The file of the library stays mapped, without being used.\n"
		"\n" TIMEOUT_HELP "\n"
		"Exit status 0: detached. 1: refused, or not in time; the reason is printed.\n",
	.exec = exec_detach,
};

/* SPDX-License-Identifier: MIT */
/* gcpreload-top: the processes and their collections, live, on a terminal; or once. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/follow.h"
#include "cli/options.h"
#include "cli/programs.h"
#include "cli/text.h"
#include "cli/top/screen.h"

#define SECONDS 1

struct top {
	struct rings_choice choice;
	struct look look;
	struct view view;
	bool utf8;
	bool once;
	bool interval; /* -n was given */
	bool no_color;
};

static const struct command command_top = {
	.name = "top",
	.usage = "[-1] [-n SECONDS] [--no-color] [--dir DIR] [--user UID | --all-users]",
	.summary = PROGRAM_TOP_SUMMARY,
	.help =
	    "Sorted by the share of time in collections. Enter shows one process: rates, pauses,\n"
	    "and its last collections with their causes. h lists all keys, q quits.\n"
	    "\n"
	    "  -1, --once         print the list once and exit; with -n, after that many\n"
	    "                     seconds, which NOW covers\n"
	    "  -n SECONDS         refresh interval (default: 1)\n"
	    "  --no-color         no colors; as NO_COLOR in the environment\n" RINGS_HELP "\n"
	    "NOW is the share of time in collections since the last refresh, in %; ALL is that\n"
	    "of the current period. MAX is the longest pause of that period in ms; G0, G1 and\n"
	    "G2 are the 99th percentiles of each generation. For scripts: gcpreload ps --json\n",
};

static int top_read_options(struct top *top, int argc, char **argv)
{
	static const struct option longs[] = {
		RINGS_OPTIONS,
		OPTION_HELP,
		{ "once", no_argument, NULL, '1' },
		{ "no-color", no_argument, NULL, 'C' },
		{ 0 },
	};
	struct options o = { &command_top, argc, argv, ":" RINGS_SHORTS "1n:h", longs, -1, 0 };
	const char *why;
	int c;

	while ((c = options_next(&o)) != -1) {
		switch (c) {
		case '1':
			top->once = true;
			break;
		case 'C':
			top->no_color = true;
			break;
		case 'n':
			top->interval = true;
			if (view_seconds(&top->view, optarg) < 0)
				return options_wrong(
				    &command_top, "-n: %s: not a number from 0.1 to 3600", optarg);
			break;
		default:
			if (o.exit >= 0)
				return o.exit;
			if (rings_option(&top->choice, c, &why) < 0)
				return options_wrong(&command_top, "%s: %s", optarg, why);
		}
	}
	if (optind < argc)
		return options_wrong(&command_top, "%s: unexpected argument", argv[optind]);
	return -1;
}

static void top_look(struct top *top)
{
	look_take(&top->look, &top->choice, top->view.seconds / 2);
	view_arrange(&top->view, &top->look);
}

static int top_print_once(struct top *top)
{
	struct render_paper paper = { .utf8 = top->utf8 };
	struct lines lines = { 0 };
	struct timespec pause;

	top_look(top);
	if (top->interval) {
		pause.tv_sec = (time_t)top->view.seconds;
		pause.tv_nsec = (long)((top->view.seconds - (double)pause.tv_sec) * 1e9);
		nanosleep(&pause, NULL);
		top_look(top);
	}
	render_list(&lines, &top->view, &paper);
	lines_print(&lines, stdout);
	lines_free(&lines);
	if (top->look.message)
		text_complain("%s", top->look.message);
	else if (!top->look.now.n)
		text_complain("%s: no measurements; a process has them once it is ready",
			      top->look.where);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_FINE;
	if (errno != EPIPE)
		text_complain("output: %s", strerror(errno));
	return EXIT_NO;
}

static void top_draw(struct top *top)
{
	struct render_paper paper = { .utf8 = top->utf8 };
	struct lines lines = { 0 };

	screen_size(&paper);
	render_screen(&lines, &top->view, &top->look, &paper);
	screen_draw(&lines);
	lines_free(&lines);
}

static double seconds_left(const struct top *top)
{
	double since = (double)gcpreload_elapsed(top->look.now.ns, follow_now()) / 1e9;

	if (top->view.paused)
		return -1;
	return since < top->view.seconds ? top->view.seconds - since : 0;
}

static int top_run(struct top *top)
{
	const char *no_color = getenv("NO_COLOR");
	enum view_wish wish = VIEW_LOOK;
	enum view_key key;
	char *cause;

	if (screen_begin(!top->no_color && !(no_color && *no_color), &cause) < 0) {
		text_complain("top: %s", cause);
		free(cause);
		return EXIT_NO;
	}
	while (wish != VIEW_END) {
		if (wish == VIEW_LOOK)
			top_look(top);
		top_draw(top);
		key = screen_wait(seconds_left(top));
		if (key == VIEW_NO_KEY)
			wish = seconds_left(top) == 0 ? VIEW_LOOK : VIEW_DRAW;
		else
			wish = view_press(&top->view, &top->look, key);
	}
	screen_end();
	return EXIT_FINE;
}

int main(int argc, char **argv)
{
	struct top top = { .view = { .seconds = SECONDS } };
	int ret = top_read_options(&top, argc, argv);

	if (ret >= 0)
		goto out;
	setlocale(LC_CTYPE, "");
	top.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	ret = top.once ? top_print_once(&top) : top_run(&top);
out:
	view_free(&top.view);
	look_free(&top.look);
	return ret;
}

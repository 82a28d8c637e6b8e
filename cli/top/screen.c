/* SPDX-License-Identifier: MIT */
#include "cli/top/screen.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/memory.h"

#define ESCAPE	    27
#define ESCAPE_WAIT 25 /* ms after which Esc is a key of its own */

static SCREEN *screen;
static volatile sig_atomic_t stopped;
static chtype looks[LINE_KINDS];

static const struct {
	enum line_kind kind;
	int attributes; /* on any terminal */
	short colour;	/* 0: none */
} kinds[] = {
	{ LINE_HEAD, A_BOLD, 0 },
	{ LINE_TITLES, A_BOLD, COLOR_CYAN },
	{ LINE_SELECTED, A_REVERSE, 0 },
	{ LINE_WARM, A_NORMAL, COLOR_YELLOW },
	{ LINE_HOT, A_BOLD, COLOR_RED },
	{ LINE_DIM, A_DIM, 0 },
	{ LINE_BAD, A_BOLD, COLOR_MAGENTA },
	{ LINE_BARS, A_NORMAL, COLOR_GREEN },
	{ LINE_KEYS, A_REVERSE, 0 },
};

static const struct {
	int code;
	enum view_key key;
} keys[] = {
	{ KEY_UP, VIEW_UP },	     { 'k', VIEW_UP },
	{ KEY_DOWN, VIEW_DOWN },     { 'j', VIEW_DOWN },
	{ KEY_PPAGE, VIEW_PAGE_UP }, { KEY_NPAGE, VIEW_PAGE_DOWN },
	{ ' ', VIEW_PAGE_DOWN },     { KEY_HOME, VIEW_FIRST },
	{ 'g', VIEW_FIRST },	     { KEY_END, VIEW_LAST },
	{ 'G', VIEW_LAST },	     { KEY_ENTER, VIEW_ENTER },
	{ '\n', VIEW_ENTER },	     { '\r', VIEW_ENTER },
	{ ESCAPE, VIEW_BACK },	     { KEY_BACKSPACE, VIEW_BACK },
	{ KEY_LEFT, VIEW_BACK },     { 'q', VIEW_QUIT },
	{ 's', VIEW_SORT_NEXT },     { '>', VIEW_SORT_NEXT },
	{ '<', VIEW_SORT_PREVIOUS }, { 'p', VIEW_PAUSE },
	{ '-', VIEW_FASTER },	     { '+', VIEW_SLOWER },
	{ '=', VIEW_SLOWER },	     { 'e', VIEW_EXITED },
	{ 'h', VIEW_HELP },	     { '?', VIEW_HELP },
	{ KEY_F(1), VIEW_HELP },
};

static void screen_stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/* No SA_RESTART: ends the wait. Before curses, which then leaves them alone. */
static void catch_signals(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = screen_stop }, old;
	size_t i;

	for (i = 0; i < sizeof ends / sizeof *ends; i++)
		if (sigaction(ends[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(ends[i], &action, NULL);
}

static void choose_looks(bool colours)
{
	size_t i;
	short pair = 0;

	colours = colours && has_colors() && start_color() == OK && use_default_colors() == OK;
	for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		looks[kinds[i].kind] = (chtype)kinds[i].attributes;
		if (!colours || !kinds[i].colour)
			continue;
		init_pair(++pair, kinds[i].colour, -1);
		looks[kinds[i].kind] |= COLOR_PAIR(pair);
	}
}

int screen_begin(bool colours, char **cause)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		*cause =
		    format_text("standard input or output is not a terminal; use -1 to print once");
		return -1;
	}
	catch_signals();
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		*cause =
		    format_text("TERM=%s: unknown or unsupported terminal; use -1 to print once",
				term ? term : "");
		return -1;
	}
	atexit(screen_end);
	set_escdelay(ESCAPE_WAIT);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	choose_looks(colours);
	return 0;
}

void screen_end(void)
{
	if (!screen || isendwin())
		return;
	/* Where the terminal has no other screen to go back to, ours stays, without the keys. */
	move(LINES - 1, 0);
	clrtoeol();
	refresh();
	endwin();
}

void screen_size(struct render_paper *paper)
{
	paper->columns = COLS > 1 ? (size_t)COLS : 1;
	paper->rows = LINES > 1 ? (size_t)LINES : 1;
}

void screen_draw(const struct lines *lines)
{
	size_t i;

	erase();
	for (i = 0; i < lines->n && i < (size_t)LINES; i++) {
		attrset((attr_t)looks[lines->list[i].kind]);
		mvaddstr((int)i, 0, lines->list[i].text);
		/* A bar across the screen, not only behind the text. */
		if (looks[lines->list[i].kind] & A_REVERSE && getcurx(stdscr) > 0)
			hline(' ' | looks[lines->list[i].kind], COLS);
	}
	attrset(A_NORMAL);
	refresh();
}

static enum view_key key_of(int code)
{
	size_t i;

	for (i = 0; i < sizeof keys / sizeof *keys; i++)
		if (keys[i].code == code)
			return keys[i].key;
	return VIEW_NO_KEY;
}

enum view_key screen_wait(double seconds)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int ready, code;

	if (stopped)
		return VIEW_HANG_UP;
	/* curses may have read more than it gave us. */
	code = getch();
	if (code != ERR)
		return key_of(code);
	ready = poll(&input, 1, seconds < 0 ? -1 : (int)(seconds * 1e3 + 0.999));
	if (stopped)
		return VIEW_HANG_UP;
	code = getch(); /* also after a signal: the size may have changed */
	if (code != ERR)
		return key_of(code);
	/* Something to read, and no key: the terminal is gone. */
	return ready > 0 && input.revents ? VIEW_HANG_UP : VIEW_NO_KEY;
}

/* SPDX-License-Identifier: MIT */
/* The terminal. The only file here that knows curses. */
#ifndef GCPRELOAD_CLI_TOP_SCREEN_H
#define GCPRELOAD_CLI_TOP_SCREEN_H

#include "cli/top/render.h"

/* Takes the terminal over, until screen_end() or the end of the program. Returns 0, or -1 with
 * *cause set to a text for people, to be freed. */
int screen_begin(bool colours, char **cause);
void screen_end(void);

/* How large it is now. */
void screen_size(struct render_paper *paper);

void screen_draw(const struct lines *lines);

/* Waits for a key, for so many seconds at most (below 0: without an end). VIEW_NO_KEY where there
 * was none, or the size has changed; VIEW_HANG_UP where no key will come any more: the terminal is
 * gone, or SIGINT, SIGTERM, SIGHUP or SIGQUIT came. */
enum view_key screen_wait(double seconds);

#endif

/* SPDX-License-Identifier: MIT */
/* What a sub-command is. Each lives in a file of its own, cmd_NAME.c; main.c has the list. */
#ifndef GCPRELOAD_CLI_COMMAND_H
#define GCPRELOAD_CLI_COMMAND_H

/* The exit statuses of every sub-command but run, which becomes another program. */
#define EXIT_FINE  0
#define EXIT_NO	   1
#define EXIT_USAGE 2
#define EXIT_IF	   3 /* doctor: it depends */

struct command {
	const char *name;
	const char *usage;   /* after "gcpreload NAME"; a line for each way to call it */
	const char *summary; /* one line, for the list of commands */
	const char *help; /* below the summary; whole lines, paragraphs are filled. NULL: nothing */

	/* argv[0] is the sub-command's own name. Returns the exit status. */
	int (*exec)(const struct command *command, int argc, char **argv);
};

extern const struct command command_run;
extern const struct command command_ps;
extern const struct command command_report;
extern const struct command command_watch;
extern const struct command command_trace;
extern const struct command command_set;
extern const struct command command_thaw;
extern const struct command command_ready;
extern const struct command command_doctor;
extern const struct command command_clean;
extern const struct command command_path;
extern const struct command command_attach;
extern const struct command command_detach;

#endif

/* SPDX-License-Identifier: MIT */
/* gcpreload: finds the sub-command and hands over. What a sub-command does is in cmd_NAME.c. */
#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/locate.h"
#include "cli/options.h"
#include "cli/programs.h"
#include "cli/text.h"

static const struct command *const commands[] = {
	&command_run,	 &command_ps,	  &command_report, &command_watch,  &command_set,
	&command_trace,	 &command_thaw,	  &command_ready,  &command_doctor, &command_clean,
	&command_attach, &command_detach, &command_path,
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

/* A command that needs more libraries than this one is a program of its own, as git's are. */
static const struct {
	const char *name;
	const char *summary;
	const char *needs; /* to be built */
} programs[] = {
	{ "top", PROGRAM_TOP_SUMMARY, "libncurses-dev" },
	{ "export", PROGRAM_EXPORT_SUMMARY,
	  "libmicrohttpd-dev, libcurl4-openssl-dev and zlib1g-dev" },
};

#define N_PROGRAMS (sizeof programs / sizeof programs[0])

static const struct command *main_find(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static bool is_beside(const char *program)
{
	char path[4096], name[64];

	snprintf(name, sizeof name, "gcpreload-%s", program);
	return locate_beside(path, sizeof path, name) == 0;
}

static void print_help(void)
{
	size_t i;

	puts("usage: gcpreload COMMAND [OPTIONS]\n\n"
	     "Python web services without the pauses of Python's garbage collector.\n");
	for (i = 0; i < N_COMMANDS; i++)
		printf("  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	for (i = 0; i < N_PROGRAMS; i++)
		if (is_beside(programs[i].name))
			printf("  %-8s  %s\n", programs[i].name, programs[i].summary);
	puts("\nFirst steps:  gcpreload run gunicorn app:app\n              gcpreload ps\n\nHelp "
	     "on a command: gcpreload COMMAND --help. Version: gcpreload --version.\nExit status: "
	     "0 success, 1 failure, 2 usage error.");
}

/* Becomes gcpreload-NAME; returns where it cannot. */
static int run_program(char **argv)
{
	char path[4096], name[256];

	if (strchr(argv[0], '/') || argv[0][0] == '-' ||
	    snprintf(name, sizeof name, "gcpreload-%s", argv[0]) >= (int)sizeof name)
		return -1;
	if (locate_beside(path, sizeof path, name) == 0) {
		argv[0] = path;
		execv(path, argv);
	}
	argv[0] = name;
	execvp(name, argv);
	if (errno == ENOENT || errno == ENOTDIR || errno == EACCES)
		return -1;
	text_complain("%s: cannot be executed: %s; check its permissions and file type", name,
		      strerror(errno));
	return EXIT_NO;
}

static int main_unknown(char **argv)
{
	const char *names[N_COMMANDS + N_PROGRAMS + 1], *word = argv[0], *near;
	size_t i, n = 0;
	int ret = run_program(argv);

	if (ret >= 0)
		return ret;
	for (i = 0; i < N_COMMANDS; i++)
		names[n++] = commands[i]->name;
	for (i = 0; i < N_PROGRAMS; i++) {
		names[n++] = programs[i].name;
		if (strcmp(word, programs[i].name) != 0)
			continue;
		text_complain(
		    "%s: gcpreload-%s is not installed; to build it, install %s and run "
		    "make; pip's package is without it, Debian's and rpm's is gcpreload-%s",
		    word, word, programs[i].needs, word);
		return EXIT_NO;
	}
	names[n++] = "help";
	near = text_nearest(word, names, n);
	if (near)
		text_complain("%s: unknown command (did you mean %s?); see: gcpreload --help", word,
			      near);
	else
		text_complain("%s: unknown command; see: gcpreload --help", word);
	return EXIT_USAGE;
}

static int main_help(int argc, char **argv)
{
	const struct command *command;
	static char option[] = "--help";
	char *args[3];

	if (argc < 2) {
		print_help();
		return EXIT_FINE;
	}
	command = main_find(argv[1]);
	args[0] = argv[1];
	args[1] = option;
	args[2] = NULL;
	return command ? command->exec(command, 2, args) : main_unknown(args);
}

/* A full disk or a closed pipe must not look like success. */
static int main_finish(int ret)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return ret;
	if (errno != EPIPE)
		text_complain("standard output: cannot be written: %s; check the free disk space",
			      strerror(errno));
	return ret ? ret : EXIT_NO;
}

int main(int argc, char **argv)
{
	const struct command *command;

	setlocale(LC_CTYPE, ""); /* how wide a character is */
	argc--;
	argv++;
	if (argc < 1) {
		text_complain("no command given; see: gcpreload --help");
		return EXIT_USAGE;
	}
	if (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0) {
		puts("gcpreload " GCPRELOAD_VERSION);
		return main_finish(EXIT_FINE);
	}
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
		print_help();
		return main_finish(EXIT_FINE);
	}
	if (strcmp(argv[0], "help") == 0)
		return main_finish(main_help(argc, argv));
	command = main_find(argv[0]);
	return main_finish(command ? command->exec(command, argc, argv) : main_unknown(argv));
}

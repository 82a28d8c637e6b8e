/* SPDX-License-Identifier: MIT */
/*
 * spawn ROUNDS PRELOAD... -- PROGRAM ARGUMENT...
 *
 * Starts the program again and again, in each round once with each LD_PRELOAD ("-": none), in
 * an order of its own each round, and waits for it. A line per round: the CPU time (user and
 * system) of each, in microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PRELOADS 16

extern char **environ;

static void fail(const char *what, int error)
{
	fprintf(stderr, "spawn: %s: %s\n", what, strerror(error));
	exit(1);
}

/* The program's standard output is not ours. */
static void no_output(posix_spawn_file_actions_t *actions)
{
	int error = posix_spawn_file_actions_init(actions);

	if (!error)
		error = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
	if (error)
		fail("posix_spawn_file_actions", error);
}

static long microseconds(const struct timeval *time)
{
	return time->tv_sec * 1000000l + time->tv_usec;
}

static long run(const char *preload, const posix_spawn_file_actions_t *actions, char **command)
{
	struct rusage usage;
	int error, status;
	pid_t pid;

	if (strcmp(preload, "-") == 0)
		unsetenv("LD_PRELOAD");
	else
		setenv("LD_PRELOAD", preload, 1);
	error = posix_spawnp(&pid, command[0], actions, NULL, command, environ);
	if (error)
		fail(command[0], error);
	if (wait4(pid, &status, 0, &usage) < 0)
		fail("wait4", errno);
	if (status) {
		fprintf(stderr, "spawn: %s: status %#x\n", command[0], (unsigned)status);
		exit(1);
	}
	return microseconds(&usage.ru_utime) + microseconds(&usage.ru_stime);
}

static void shuffle(int *order, int n)
{
	int i, j, one;

	for (i = n - 1; i > 0; i--) {
		j = rand() % (i + 1);
		one = order[i];
		order[i] = order[j];
		order[j] = one;
	}
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	int order[PRELOADS], n = 0, i;
	long used[PRELOADS], rounds;

	rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	while (2 + n < argc && strcmp(argv[2 + n], "--") != 0)
		n++;
	if (rounds < 1 || n < 1 || n > PRELOADS || 3 + n >= argc) {
		fputs("usage: spawn ROUNDS PRELOAD... -- PROGRAM ARGUMENT...\n", stderr);
		return 2;
	}
	no_output(&actions);
	for (i = 0; i < n; i++)
		order[i] = i;
	while (rounds--) {
		shuffle(order, n);
		for (i = 0; i < n; i++)
			used[order[i]] = run(argv[2 + order[i]], &actions, &argv[3 + n]);
		for (i = 0; i < n; i++)
			printf("%ld%c", used[i], i + 1 < n ? ' ' : '\n');
	}
	return 0;
}

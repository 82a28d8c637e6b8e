/* SPDX-License-Identifier: MIT */
/*
 * Processes that run Python and serve no requests: they start, watch or restart those that do, or
 * work on one job. By their command line, or by a module that knows better. They are left alone,
 * unless GCPRELOAD_ONLY names them or GCPRELOAD_FORCE is set.
 */
#ifndef GCPRELOAD_RULES_HELPER_H
#define GCPRELOAD_RULES_HELPER_H

#include <stdbool.h>

#include "rules/settings.h"

#define HELPER_NAMES 4 /* of a list, with its end */

struct helper {
	const char *programs[HELPER_NAMES + 1]; /* or modules; of code, what it imports from */
	bool code;				/* -c from MODULE import ... */
	const char *verb;			/* a word behind the program, or NULL */
	const char *with[HELPER_NAMES];		/* one of these words, if there are any */
	const char *variable; /* or this one is set to a yes, in their place; or NULL */
	const char *without;  /* and not this word, or NULL */
	/* Set by it for the server that it starts with the same command line, or NULL. */
	const char *server_has;
	bool reloads; /* it starts the server that the command is for, and again after changes */
	/* Not 0: it is a helper's worker itself, and those that are forked from it are for a job
	 * each: its children (1) or their children (2). */
	unsigned jobs;
	const char *why;
};

/* What a command line is, in an environment; NULL: no helper. */
const struct helper *helper_find(const char *line, char *const *environment);

/* Finds what the settings are to say of a process: .helper, and that it is .excluded if it is one
 * itself. After settings_resolve(). */
void helper_apply(struct gcpreload_settings *settings, const char *line, char *const *environment);

/* The processes of a host that has numbers for those that run Python, by functions of a module
 * that it makes. Where all numbers are 0, and it is not the one that started the others, it is a
 * helper. */
struct helper_host {
	const char *module;
	const char *numbers[HELPER_NAMES];
	const char *parent; /* the pid of that one */
	const char *why;
};

extern const struct helper_host helper_host;

#endif

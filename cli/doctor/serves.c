/* SPDX-License-Identifier: MIT */
#include "cli/doctor/serves.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Those whose processes are known to become ready by themselves: the tests run each of them. */
static const char *const servers[] = { "gunicorn", "uvicorn", "http.server" };

/* Those that fork workers and never listen. */
static const char *const forkers[] = { "celery" };

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof *(names))

/* What the interpreter's own options lead to. Returns the module's or the script's name; NULL for
 * -c and for what comes on standard input, with *what for people. */
static const char *what_runs(const struct words *words, const char **what)
{
	const char *word, *p;
	size_t i;

	*what = "its standard input";
	for (i = 1; (word = words_at(words, i)) && strcmp(word, "-") != 0; i++) {
		if (*word != '-') {
			p = strrchr(word, '/');
			*what = word;
			return p ? p + 1 : word;
		}
		if (word[1] == '-') {
			i += strcmp(word, "--check-hash-based-pycs") == 0;
			continue;
		}
		for (p = word + 1; *p && !strchr("cmWX", *p); p++)
			;
		if (*p == 'c') {
			*what = "-c";
			return NULL;
		}
		if (*p == 'm')
			return *what = p[1] ? p + 1 : words_at(words, i + 1);
		i += *p && !p[1]; /* -W and -X with their value in the next word */
	}
	return NULL;
}

/* Whether one of the list is of that kind. */
static bool has_trigger(const char *list, const char *kind)
{
	size_t n = strlen(kind);

	for (; list; list = strchr(list, ',')) {
		list += *list == ',';
		if (strncmp(list, kind, n) == 0 && strchr(":+,", list[n]))
			return true;
	}
	return false;
}

void serves_check(const struct words *words, struct findings *findings)
{
	const char *trigger = getenv("GCPRELOAD_TRIGGER"), *what, *name = what_runs(words, &what);
	bool server = name && IS_ONE_OF(name, servers);

	if (!trigger || !*trigger)
		trigger = "auto";
	if (name && IS_ONE_OF(name, forkers) && has_trigger(trigger, "fork"))
		finding(findings, FINDING_GOOD, "%s: is ready when it forks its workers", what);
	else if (server && (has_trigger(trigger, "auto") || has_trigger(trigger, "fork") ||
			    has_trigger(trigger, "delay") || has_trigger(trigger, "accepts")))
		finding(findings, FINDING_GOOD, "%s: a server, which becomes ready", what);
	else if (name && IS_ONE_OF(name, forkers) && has_trigger(trigger, "auto"))
		finding(findings, FINDING_IF,
			"%s: never waits on a listening socket, which would make it ready; set "
			"GCPRELOAD_TRIGGER=fork",
			what);
	else if (!has_trigger(trigger, "auto"))
		finding(findings, FINDING_IF,
			"GCPRELOAD_TRIGGER=%s: whether that comes to pass cannot be told without "
			"running %s",
			trigger, what);
	else
		finding(findings, FINDING_IF,
			"%s: whether its main thread ever waits on a listening socket cannot be "
			"told without running it. A server does, and is ready then; a script or a "
			"job does not, and is left as it is",
			what);
}

/* SPDX-License-Identifier: MIT */
#include "cli/doctor/serves.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Those whose processes are known to become ready by themselves: the tests run each of them. */
static const char *const servers[] = { "gunicorn", "uvicorn", "http.server" };

/* Those that fork workers and never listen. */
static const char *const forkers[] = { "celery" };

static bool is_named_in(const char *name, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

#define IS_NAMED_IN(name, names) is_named_in(name, names, sizeof(names) / sizeof *(names))

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

void serves_check(const struct words *words, const struct decision *decision,
		  struct findings *findings)
{
	const struct trigger_list *triggers = &decision->settings.triggers;
	const char *what, *name = what_runs(words, &what);
	bool server = name && IS_NAMED_IN(name, servers),
	     forks = name && IS_NAMED_IN(name, forkers);
	char *setting;

	if (forks && trigger_find(triggers, TRIGGER_FORK)) {
		findings_add(findings, FINDING_GOOD, "%s: is ready when it forks its workers",
			     what);
	} else if (server &&
		   (trigger_find(triggers, TRIGGER_AUTO) || trigger_find(triggers, TRIGGER_FORK) ||
		    trigger_find(triggers, TRIGGER_DELAY) ||
		    trigger_find(triggers, TRIGGER_ACCEPTS))) {
		findings_add(findings, FINDING_GOOD, "%s: a server, which becomes ready", what);
	} else if (forks && trigger_find(triggers, TRIGGER_AUTO)) {
		findings_add(
		    findings, FINDING_IF,
		    "%s: its workers have no listening socket, so they are ready only when they "
		    "have worked for half a minute; set GCPRELOAD_TRIGGER=fork, and they are "
		    "ready at once, and share memory",
		    what);
	} else if (!trigger_find(triggers, TRIGGER_AUTO)) {
		setting = decision_setting(decision, SETTINGS_TRIGGER);
		findings_add(findings, FINDING_IF,
			     "%s: whether that comes to pass cannot be told without running %s",
			     setting, what);
		free(setting);
	} else {
		findings_add(
		    findings, FINDING_IF,
		    "%s: whether its main thread ever waits on a listening socket cannot be "
		    "told without running it. A server does, and is ready then; a worker "
		    "without one is ready when it has worked for half a minute without "
		    "importing or growing; a script or a short job is left as it is",
		    what);
	}
}

/* SPDX-License-Identifier: MIT */
/* What the library decides for a process by its settings: the same rules, asked from outside. */
#ifndef GCPRELOAD_CLI_DECISION_H
#define GCPRELOAD_CLI_DECISION_H

#include "rules/settings.h"

enum decision_verdict {
	DECISION_TUNED,	   /* when it is ready */
	DECISION_DEPENDS,  /* tuned or only observed, which only the process itself can tell */
	DECISION_OBSERVED, /* measured, not tuned */
	DECISION_NONE	   /* the library does nothing in it */
};

struct decision_reason {
	enum decision_verdict verdict;
	char *why;    /* "GCPRELOAD_MODE=off: the library does nothing" */
	char *advice; /* what to do */
};

struct decision {
	struct gcpreload_settings settings;
	struct settings_origin origins[SETTINGS];
	bool given_to_run[SETTINGS];  /* from the environment, where `gcpreload run` put it */
	bool disabled;		      /* by GCPRELOAD_DISABLE: nothing else is read */
	enum gcpreload_sample sample; /* not where it depends */
	struct decision_reason
	    *reasons; /* against tuning, in the order in which the library asks */
	size_t n_reasons;
	char **complaints; /* what the library says of settings that cannot be used */
	size_t n_complaints;
	char **kept; /* texts of settings */
	size_t n_kept;
};

/* Of a process with this command line and this process's environment. given_to_run: of each
 * setting, whether `gcpreload run` has put it there; or NULL. */
void decision_of_command(struct decision *decision, const char *line, const bool *given_to_run);

/* Of a running one: by the environment that it was started with, and the file as it sees it.
 * Returns 0 or -errno, with nothing to be freed. */
int decision_of_process(struct decision *decision, pid_t pid);

/* A setting with its value, and where that comes from: "GCPRELOAD_MODE=off", "mode = off (line 3 of
 * FILE)", "--mode=off of gcpreload run". To be freed. */
char *decision_setting(const struct decision *decision, enum settings_number number);

/* The place alone: "GCPRELOAD_MODE", "line 3 of FILE", "--mode", "default". To be freed. */
char *decision_source(const struct decision *decision, enum settings_number number);

void decision_free(struct decision *decision);

#endif

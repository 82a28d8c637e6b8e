/* SPDX-License-Identifier: MIT */
/* Loading the library into a process that runs, and taking it out of use. */
#ifndef GCPRELOAD_CLI_ATTACH_ATTACH_H
#define GCPRELOAD_CLI_ATTACH_ATTACH_H

#include <stdbool.h>
#include <sys/types.h>

struct attach_wish {
	pid_t pid;
	const char *library;  /* as the process sees it; NULL: this command's own */
	const char *settings; /* lines NAME=VALUE; NULL: detach */
	unsigned timeout;     /* seconds */
	bool quiet;	      /* do not say that it waits */
};

struct attach_outcome {
	char *why;	    /* not done: "WHAT: WHY; what to do"; NULL: it is done */
	char library[4096]; /* as the process sees it */
	int python_minor;
	double seconds; /* it took */
};

/* outcome is to be freed by attach_outcome_free. */
void attach_do(const struct attach_wish *wish, struct attach_outcome *outcome);
void attach_outcome_free(struct attach_outcome *outcome);

#endif

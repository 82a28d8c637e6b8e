/* SPDX-License-Identifier: MIT */
/* GCPRELOAD_TRIGGER: the list of things that may show that the application is ready. */
#ifndef GCPRELOAD_RULES_TRIGGER_H
#define GCPRELOAD_RULES_TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

enum trigger_kind {
	TRIGGER_AUTO,	/* the main thread waits on a listening socket; or it has settled */
	TRIGGER_IMPORT, /* a module has finished importing */
	TRIGGER_SIGNAL,
	TRIGGER_DELAY,	 /* so long after Python came up */
	TRIGGER_ACCEPTS, /* so many connections were accepted */
	TRIGGER_FORK,	 /* os.fork(), also in a process that never listened */
	TRIGGER_KINDS
};

#define TRIGGERS_MAX	   8
#define TRIGGER_MODULE_MAX 128

struct trigger {
	enum trigger_kind kind;
	uint64_t after_ns; /* acts so long after it fired */
	uint64_t number;   /* DELAY: ns; ACCEPTS: connections; SIGNAL: its number */
	char module[TRIGGER_MODULE_MAX];
};

struct trigger_list {
	int n; /* 0: none, nothing is ever ready by itself */
	struct trigger triggers[TRIGGERS_MAX];
};

/* Parses "auto+30,import:app.main,signal:URG,delay:10,accepts:64,fork" or "none". Returns false,
 * with list untouched, if text is not such a list. */
bool trigger_parse(struct trigger_list *list, const char *text);

/* The first trigger of a kind, or NULL. */
const struct trigger *trigger_find(const struct trigger_list *list, enum trigger_kind kind);

#endif

/* SPDX-License-Identifier: MIT */
/* What is known of this process, for its ring: one status, begun anew in a forked child. GIL. */
#ifndef GCPRELOAD_ENGINE_PROCESS_H
#define GCPRELOAD_ENGINE_PROCESS_H

#include <stdio.h>

#include "inject/inject.h"
#include "inject/pyapi.h"
#include "ring/writer.h"

struct process {
	struct gcpreload_status status;
	enum gcpreload_mode mode; /* the settings', until a command changes it */
	bool no_ring;		  /* it was tried, and said */
	bool observed_enough;	  /* asked to publish that it only observes */
	uint64_t looked_ns;	  /* last look whether the application has begun to tune */
	uint64_t
	    off_since_ns; /* gc was seen disabled or debugged, and at each look since; 0: not */
	bool froze;	  /* gc.freeze() was called by us, in this process */
	bool thawed;	  /* by a command: not frozen again by itself */
	uint64_t resident_at_fork; /* bytes; 0: not forked, or unknown */
	bool thresholds_due;	   /* the parent's are still to be given back */
	bool idle_asked;	   /* idle_act is to be called soon */
	bool in_greenlet;	   /* readiness was given to the event loop and has not run yet */
};

extern struct process process;
extern const struct gcpreload_settings *settings;
extern const struct gcpreload_hooks *hooks;
extern struct gcpreload_place process_place; /* of its ring */

/* Copies a text into a field of the status, cut to fit. */
#define process_text(field, text)                                                                  \
	process_copy_text(process.status.field, sizeof process.status.field, text)

static inline void process_copy_text(char *field, size_t size, const char *text)
{
	snprintf(field, size, "%s", text ? text : "");
}

/* Every entry from outside begins with this. */
void process_begin_if_new(void);

/* The observer is in place for the first time. late: the interpreter had begun before us. */
void process_attached(bool late);

/* It only observes: says why, in the status. */
void process_observes(void);

/* An interpreter began whose collections are not seen. */
void process_subinterpreter(void);

/* Part of what gcpreload_inject_soon brings about. */
void process_act(void);

/* Tells the ring the status; makes the file where there may be one. Returns whether there is. */
bool process_publish(void);

/* process_publish for a status that is not worth a file by itself. */
void process_update(void);

#endif

/* SPDX-License-Identifier: MIT */
/* What is known of this process, for its ring: one status, begun anew in a forked child
 * (engine/begin). GIL, unless said otherwise. */
#ifndef GCPRELOAD_ENGINE_PROCESS_H
#define GCPRELOAD_ENGINE_PROCESS_H

#include <stdio.h>

#include "base/shared.h"
#include "engine/settled.h"
#include "inject/pyapi.h"
#include "ring/writer.h"
#include "rules/settings.h"

struct process {
	struct gcpreload_status status;
	enum gcpreload_mode mode;  /* the settings', until a command changes it */
	bool begun;		   /* to serve: it was ready */
	bool job;		   /* forked to work on one: left alone, without a ring */
	bool attached;		   /* while it ran, or an ancestor: its waits are not seen */
	bool by_command;	   /* it began with the mode of one */
	bool no_ring;		   /* it was tried, and logged */
	unsigned ring_failures;	   /* in a row, of making one or one in its place */
	int ring_error;		   /* of the last */
	bool observed_enough;	   /* asked to publish that it only observes */
	uint64_t looked_ns;	   /* last look whether the application has begun to tune */
	uint64_t off_since_ns;	   /* gc was seen disabled or debugged, and at each look since */
	bool froze;		   /* gc.freeze() was called by us, in this process */
	bool thawed;		   /* by a command: not frozen again by itself */
	int64_t inherited_frozen;  /* objects that an ancestor has frozen */
	bool is_child;		   /* forked by a process that was under the library */
	bool inherits_heap;	   /* what it froze is an ancestor's for the most part */
	bool start_was_emptied;	   /* by engine/startup, in this process */
	uint64_t resident_at_fork; /* bytes; 0: not forked, or unknown */
	uint64_t full_at_fork;	   /* full collections that its ancestors had seen */
	int worth_a_fork;	   /* to freeze for a fork: 1, no: -1, nobody has counted: 0 */
	bool thresholds_due;	   /* the parent's are still to be given back */
	char sampled[128];	   /* why it is in the sample or not; "": nobody asked */
	const char *fallback;	   /* why the mode is not what was asked for, or NULL */
	struct settled settled;	   /* while nothing else has shown that it is ready */
	/* Shared: waits read and write these without the GIL. */
	bool in_greenlet;   /* readiness was given to the event loop and has not run yet */
	bool tuned;	    /* what we did is in force */
	bool wants_chances; /* and it collects while the server waits */
	bool guard_asked;   /* guard_act is to be called soon */
	uint64_t
	    ring_again_ns; /* making a ring failed for a reason that may pass: try again then */
	struct {
		uint64_t refused_busy, delayed_wakeups, delayed_ns;
	} at_waits; /* added to by add_relaxed; process_update tells the status */
};

extern struct process process;
extern const struct gcpreload_settings *settings;
extern struct gcpreload_place process_place; /* of its ring */

/* service: as in struct gcpreload_engine_hooks. */
void process_use(const struct gcpreload_settings *settings,
		 struct gcpreload_service (*service)(char *name));

/* Copies a text into a field of the status, cut to fit. */
#define process_text(field, text)                                                                  \
	process_copy_text(process.status.field, sizeof process.status.field, text)

static inline void process_copy_text(char *field, size_t size, const char *text)
{
	snprintf(field, size, "%s", text ? text : "");
}

static inline bool process_stands_back(void)
{
	return process.status.state == GCPRELOAD_STATE_STANDING_BACK;
}

/* It only observes, or does nothing: says why, in the status. */
void process_observes(void);
void process_is_off(void);

/* What we did is in force; chances: and collections at waits are wanted. */
void process_is_tuned(bool chances);

/* Nothing is known of it any more, and the entrances are closed: settings is NULL. */
void process_detached(void);

/* It is not, any more: thawed, standing back, or a new process. */
void process_is_left_alone(void);

/* Tells the ring the status; makes the file where there may be one, or a new one where it was
 * removed. Returns whether there is. */
bool process_publish(void);

/* Whether process_publish has a ring to make: it was removed, or could not be made, and it is time
 * to try again. Without the GIL; once a second. */
bool process_lacks_ring(uint64_t now_ns);

/* process_publish for a status that is not worth a file by itself. */
void process_update(void);

#endif

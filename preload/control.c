/* SPDX-License-Identifier: MIT */
#include "preload/control.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/shared.h"
#include "engine/engine.h"
#include "preload/log.h"
#include "preload/settings.h"
#include "preload/standing.h"
#include "ring/writer.h"

#define EVERY_NS  1000000000ull
#define LIVES_NS  2000000000ull /* most programs have ended by then, and are to look for nothing */
#define AS_BEFORE GCPRELOAD_ENGINE_NOT_TOLD

/* Whose file it stands in. */
enum source { SERVICE, ALL, OWN, SOURCES };

struct control_mode {
	uint64_t serial; /* 0: never told */
	int mode;	 /* or AS_BEFORE: taken back */
};

static struct gcpreload_settings *in_use; /* NULL: no control files here */

/* Looked at by the thread that serves and by whichever holds the GIL; what another is at is left to
 * it. A child inherits what stands behind. */
static bool busy;
static struct control_mode told[SOURCES];
static uint64_t own_taken;
static bool own_here;			 /* it was told its mode itself, not an ancestor */
static struct gcpreload_control command; /* that waits */

/* Of this process; read by both at any time. */
static uint64_t looked_ns;
static bool waits;
static bool settled; /* it was looked for them before it first acted */
static bool begun;   /* to serve */
static bool complained;

static bool control_enter(void)
{
	return in_use && !exchange_acquire(&busy, true);
}

static void control_leave(void)
{
	store_release(&busy, false);
}

/* Whether a verb is a mode that a process may be told. */
static bool control_is_mode(const char *verb, int *mode)
{
	enum gcpreload_mode word;

	if (strncmp(verb, "mode=", 5) != 0)
		return false;
	*mode = AS_BEFORE;
	if (strcmp(verb + 5, "default") == 0)
		return true;
	if (!settings_rows[SETTINGS_MODE].parse(&settings_rows[SETTINGS_MODE], verb + 5, &word))
		return false;
	*mode = (int)word;
	return true;
}

/* A mode stays until a newer one comes, also where its file goes: a cleaner may have been there. */
static bool control_note(enum source source, const struct gcpreload_control *control,
			 const char **why)
{
	struct control_mode *mode = &told[source];
	int word;

	if (control->serial <= mode->serial)
		return false;
	if (!control_is_mode(control->verb, &word)) {
		*why = "not a mode of this version";
		if (source == OWN)
			return false; /* and who wrote it is told so */
		word = GCPRELOAD_MODE_OBSERVE;
	}
	*mode = (struct control_mode){ control->serial, word };
	return true;
}

static uint64_t control_newest(enum source *newest)
{
	int i;

	*newest = SERVICE;
	for (i = 0; i < SOURCES; i++)
		if (told[i].serial > told[*newest].serial)
			*newest = (enum source)i;
	return told[*newest].serial;
}

/* What is in force (ring/layout.h). */
static int control_in_force(void)
{
	enum source newest, other;

	control_newest(&newest);
	if (told[newest].mode != AS_BEFORE)
		return told[newest].mode;
	other = told[ALL].serial > told[SERVICE].serial ? ALL : SERVICE;
	if (told[other].mode == AS_BEFORE)
		other = other == ALL ? SERVICE : ALL;
	return told[other].mode;
}

static void control_tell_engine(void)
{
	enum source newest;
	uint64_t serial = control_newest(&newest);

	if (serial)
		gcpreload_engine_told(control_in_force(), serial);
}

static void control_complain(const char *why)
{
	if (!why)
		store_relaxed(&complained, false);
	else if (!exchange_relaxed(&complained, true))
		log_say(GCPRELOAD_LOG_WARNING, "control file ignored: %s", why);
}

static void control_wait_for(uint64_t serial, const char *verb)
{
	command.serial = serial;
	snprintf(command.verb, sizeof command.verb, "%s", verb);
	store_relaxed(&waits, true);
}

/* To this process alone. Returns whether it is a mode. */
static bool control_take_own(const struct gcpreload_control *own, const char **why)
{
	if (own->serial <= own_taken)
		return false;
	own_taken = own->serial;
	if (strncmp(own->verb, "mode=", 5) == 0) {
		if (!control_note(OWN, own, why))
			return false;
		own_here = true;
		return true;
	}
	control_wait_for(own->serial, own->verb);
	return false;
}

static bool control_look_at_own(const char **why)
{
	struct gcpreload_control own;

	return gcpreload_ring_control(&own, why) > 0 && control_take_own(&own, why);
}

static bool control_look_at_standing(const char **why)
{
	static const char *unusable; /* as long as nothing changes there */
	struct standing standing;
	bool all, service, process, looked = standing_look(in_use->dir, &standing);

	if (looked)
		unusable = standing.why;
	if (unusable)
		*why = unusable;
	if (!looked)
		return false;
	all = control_note(ALL, &standing.all, why);
	service = control_note(SERVICE, &standing.service, why);
	process = control_take_own(&standing.process, why);
	return all || service || process;
}

/* Whether a mode has come. A program that may never serve says nothing of files it cannot use. */
static bool control_look(bool serves)
{
	const char *why = NULL;
	bool own = control_look_at_own(&why), standing = control_look_at_standing(&why);

	if (serves)
		control_complain(why);
	if (own || standing)
		control_tell_engine();
	return own || standing;
}

static void control_wait_for_mode(void)
{
	static const char *const verbs[] = {
		[GCPRELOAD_MODE_OFF] = "mode=off",
		[GCPRELOAD_MODE_OBSERVE] = "mode=observe",
		[GCPRELOAD_MODE_FREEZE] = "mode=freeze",
		[GCPRELOAD_MODE_IDLE] = "mode=idle",
		[GCPRELOAD_MODE_CONCURRENT] = "mode=concurrent",
	};
	enum source newest;
	uint64_t serial = control_newest(&newest);
	int mode = control_in_force();

	control_wait_for(serial, mode == AS_BEFORE ? "mode=default" : verbs[mode]);
}

void control_start(struct gcpreload_settings *settings)
{
	int i;

	for (i = 0; i < SOURCES; i++)
		told[i] = (struct control_mode){ 0, AS_BEFORE };
	standing_forget();
	if (settings->ring != GCPRELOAD_RING_OFF)
		in_use = settings;
}

void control_begin_process(void)
{
	store_relaxed(&busy, false); /* of another thread of the parent */
	store_relaxed(&looked_ns, 0);
	own_here = false;
	store_relaxed(&waits, false);
	store_relaxed(&settled, false);
	store_relaxed(&begun, false);
}

void control_before_fork(uint64_t now_ns)
{
	if (!control_enter())
		return;
	store_relaxed(&looked_ns, now_ns);
	settings_mode_again(in_use);
	/* What has not begun to serve begins with it, and needs no command. */
	if (control_look(true) && load_relaxed(&begun))
		control_wait_for_mode();
	control_leave();
}

void control_begins(void)
{
	store_relaxed(&begun, true);
}

void control_before_acting(uint64_t now_ns)
{
	bool soon = gcpreload_elapsed(load_relaxed(&looked_ns), now_ns) < EVERY_NS;

	if (load_relaxed(&settled) && soon)
		return;
	store_relaxed(&settled, true);
	control_before_fork(now_ns);
}

/* What is told to this process alone counts at once; what stands for others, when it begins. */
static bool control_is_for_now(bool serves)
{
	enum source newest;

	control_newest(&newest);
	return serves || (newest == OWN && own_here);
}

bool control_pending(uint64_t now_ns)
{
	bool serves = gcpreload_ring_published() || load_relaxed(&begun);
	uint64_t last = load_relaxed(&looked_ns);

	if (!in_use ||
	    !(serves || gcpreload_elapsed(gcpreload_ring_attached_ns(), now_ns) >= LIVES_NS))
		return false;
	if (gcpreload_elapsed(last, now_ns) < EVERY_NS || !swap_relaxed(&looked_ns, &last, now_ns))
		return load_relaxed(&waits);
	if (control_enter()) {
		if (control_look(serves) && control_is_for_now(serves))
			control_wait_for_mode();
		control_leave();
	}
	return load_relaxed(&waits);
}

bool control_read(uint64_t now_ns, struct gcpreload_control *out)
{
	bool here = control_pending(now_ns) && control_enter();

	if (here) {
		*out = command;
		control_leave();
	}
	return here;
}

void control_taken(const struct gcpreload_control *taken)
{
	if (!control_enter())
		return;
	if (command.serial == taken->serial)
		store_relaxed(&waits, false);
	control_leave();
}

/* SPDX-License-Identifier: MIT */
#include "preload/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/shared.h"
#include "preload/log.h"
#include "ring/writer.h"

#define EVERY_NS 1000000000ull

/* Written by the thread that serves and by whichever holds the GIL, and read by both. What the
 * command is each of them reads from the file itself. */
static uint64_t looked_ns;
static uint64_t taken; /* serial of the last command */
static bool waits;
static bool complained;

/* "gcpreload-control 1 SERIAL VERB\n" */
static bool control_parse(char *text, struct control_command *command)
{
	const size_t prefix = sizeof GCPRELOAD_CONTROL_MAGIC - 1;
	char *end = strchr(text, '\n'), *verb;

	if (!end || end[1] || strncmp(text, GCPRELOAD_CONTROL_MAGIC, prefix) != 0)
		return false;
	*end = '\0';
	command->serial = strtoull(text + prefix, &verb, 10);
	if (!command->serial || *verb != ' ' || strlen(verb + 1) >= sizeof command->verb)
		return false;
	strcpy(command->verb, verb + 1);
	return true;
}

/* Whether there is one that was not taken yet. */
static bool control_look(struct control_command *command)
{
	char text[GCPRELOAD_CONTROL_SIZE + 1];
	const char *why = "not a command of gcpreload";
	int n = gcpreload_ring_control(text, sizeof text, &why);

	if (n == 0)
		return false;
	if (n < 0 || !control_parse(text, command)) {
		if (!exchange_relaxed(&complained, true))
			log_say(GCPRELOAD_LOG_WARNING, "control file ignored: %s", why);
		return false;
	}
	store_relaxed(&complained, false);
	return command->serial > load_relaxed(&taken);
}

bool control_pending(uint64_t now_ns)
{
	struct control_command command;
	uint64_t last = load_relaxed(&looked_ns);

	if (load_relaxed(&waits))
		return true;
	if (gcpreload_elapsed(last, now_ns) < EVERY_NS || !swap_relaxed(&looked_ns, &last, now_ns))
		return false;
	if (!control_look(&command))
		return false;
	store_relaxed(&waits, true);
	return true;
}

bool control_read(uint64_t now_ns, struct control_command *command)
{
	if (!control_pending(now_ns))
		return false;
	if (control_look(command))
		return true;
	store_relaxed(&waits, false);
	return false;
}

void control_taken(uint64_t serial)
{
	store_relaxed(&taken, serial);
	store_relaxed(&waits, false);
}

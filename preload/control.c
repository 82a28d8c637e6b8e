/* SPDX-License-Identifier: MIT */
#include "preload/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "preload/log.h"
#include "ring/writer.h"

#define EVERY_NS 1000000000ull

static uint64_t looked_ns;
static uint64_t taken; /* serial of the last command */
static struct control_command waiting;
static bool complained;

/* "gcpreload-control 1 SERIAL VERB\n" */
static bool parse(char *text, struct control_command *command)
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

bool control_pending(uint64_t now_ns)
{
	char text[GCPRELOAD_CONTROL_SIZE + 1];
	const char *why = "not a command of gcpreload";
	int n;

	if (waiting.serial)
		return true;
	if (gcpreload_elapsed(looked_ns, now_ns) < EVERY_NS)
		return false;
	looked_ns = now_ns;
	n = gcpreload_ring_control(text, sizeof text, &why);
	if (n == 0)
		return false;
	if (n < 0 || !parse(text, &waiting)) {
		if (!complained)
			log_say(GCPRELOAD_LOG_WARNING, "control file ignored: %s", why);
		complained = true;
		waiting.serial = 0;
		return false;
	}
	complained = false;
	if (waiting.serial <= taken)
		waiting.serial = 0;
	return waiting.serial != 0;
}

bool control_read(uint64_t now_ns, struct control_command *command)
{
	if (!control_pending(now_ns))
		return false;
	*command = waiting;
	return true;
}

void control_taken(uint64_t serial)
{
	taken = serial;
	waiting.serial = 0;
}

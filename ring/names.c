/* SPDX-License-Identifier: MIT */
#include "ring/names.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "ring/control.h"
#include "ring/layout.h"

#define OTHER  (GCPRELOAD_RETIRED_FILES - 1)
#define FAMILY ".family." /* and PID.START */

void ring_retired_name(char name[RING_RETIRED_NAME], unsigned i, bool hidden)
{
	const char *dot = hidden ? "." : "", *new = hidden ? ".new" : "";

	if (i == OTHER)
		snprintf(name, RING_RETIRED_NAME, "%sretired.other%s", dot, new);
	else
		snprintf(name, RING_RETIRED_NAME, "%sretired.%u%s", dot, i % OTHER, new);
}

bool gcpreload_retired_name(const char *name, bool hidden)
{
	char one[RING_RETIRED_NAME];
	unsigned i;

	if (strncmp(name, hidden ? ".retired." : "retired.", hidden ? 9 : 8) != 0)
		return false;
	for (i = 0; i < GCPRELOAD_RETIRED_FILES; i++) {
		ring_retired_name(one, i, hidden);
		if (strcmp(name, one) == 0)
			return true;
	}
	return false;
}

static const char *name_skip_digits(const char *p, size_t most)
{
	const char *begin = p;

	while (*p >= '0' && *p <= '9' && (size_t)(p - begin) < most)
		p++;
	return p == begin ? NULL : p;
}

/* Behind PID.START, or NULL where it does not stand there. */
static const char *name_skip_process(const char *p)
{
	p = name_skip_digits(p, 10);
	return p && *p == '.' ? name_skip_digits(p + 1, 20) : NULL;
}

/* Behind PID.START.RANDOM, or NULL. */
static const char *name_skip_ring(const char *p)
{
	int i;

	p = name_skip_process(p);
	if (!p || *p++ != '.')
		return NULL;
	for (i = 0; i < 8; i++, p++)
		if ((*p < '0' || *p > '9') && (*p < 'a' || *p > 'f'))
			return NULL;
	return p;
}

static bool name_is_family(const char *name)
{
	const char *p = name + sizeof FAMILY - 1;

	if (strncmp(name, FAMILY, sizeof FAMILY - 1) != 0)
		return false;
	p = name_skip_process(p);
	return p && !*p;
}

/* A control file of a process without a ring. */
static bool name_is_process(const char *name, bool hidden)
{
	const char *end = name_skip_process(name + hidden);

	return end && strcmp(end, hidden ? ".ctl.new" : ".ctl") == 0;
}

enum gcpreload_name gcpreload_name_kind(const char *name)
{
	bool hidden = *name == '.';
	const char *end = name_skip_ring(name + hidden);

	if (name_is_family(name))
		return GCPRELOAD_NAME_FAMILY;
	if (!end && gcpreload_control_half(name))
		return GCPRELOAD_NAME_HALF;
	if (!end && gcpreload_retired_name(name, hidden))
		return hidden ? GCPRELOAD_NAME_HALF : GCPRELOAD_NAME_TOTALS;
	if (!end && name_is_process(name, hidden))
		return hidden ? GCPRELOAD_NAME_HALF : GCPRELOAD_NAME_PROCESS;
	if (!end)
		return GCPRELOAD_NAME_OTHER;
	if (hidden)
		return strcmp(end, ".new") == 0 || strcmp(end, ".ctl.new") == 0
			   ? GCPRELOAD_NAME_HALF
			   : GCPRELOAD_NAME_OTHER;
	if (!*end)
		return GCPRELOAD_NAME_RING;
	return strcmp(end, ".ctl") == 0 ? GCPRELOAD_NAME_CONTROL : GCPRELOAD_NAME_OTHER;
}

/* SPDX-License-Identifier: MIT */
#include "cli/no_ring.h"

#include <stdlib.h>
#include <string.h>

#include "cli/decision.h"
#include "cli/memory.h"
#include "cli/procfs.h"

/* The first reason of that kind, or NULL. */
static const char *reason_of(const struct decision *decision, enum decision_verdict verdict)
{
	size_t i;

	for (i = 0; i < decision->n_reasons; i++)
		if (decision->reasons[i].verdict == verdict)
			return decision->reasons[i].why;
	return NULL;
}

/* What in the settings is against a file, or NULL; to be freed. */
static char *what_forbids(const struct decision *decision)
{
	const char *reason = reason_of(decision, DECISION_NONE);
	char *setting, *text;

	if (reason)
		return memory_need(strdup(reason));
	if (decision->settings.ring != GCPRELOAD_RING_OFF)
		return NULL;
	setting = decision_setting(decision, SETTINGS_RING);
	text = format_text("%s: no measurements are kept", setting);
	free(setting);
	return text;
}

char *no_ring_setting(pid_t pid)
{
	struct decision decision;
	const char *observed;
	char *text;

	if (decision_of_process(&decision, pid) < 0)
		return NULL;
	text = what_forbids(&decision);
	observed = reason_of(&decision, DECISION_OBSERVED);
	if (!text && observed)
		text = memory_need(strdup(observed));
	decision_free(&decision);
	return text;
}

/* Under the library, and no file: it has not come so far, or is to have none. */
static char *why_none_yet(pid_t pid)
{
	struct decision decision;
	char *forbids, *text;

	if (decision_of_process(&decision, pid) < 0)
		memset(&decision, 0, sizeof decision);
	forbids = what_forbids(&decision);
	if (forbids)
		text = format_text("%d: no measurement file, so it receives no commands: %s; start "
				   "it without that setting",
				   (int)pid, forbids);
	else
		text = format_text(
		    "%d: no measurements yet, so it receives no commands: it waits for its trigger "
		    "(%s); see: gcpreload doctor --pid %d. To trigger it by hand, start it with "
		    "GCPRELOAD_TRIGGER=signal, then: kill -URG %d",
		    (int)pid, decision.settings.trigger ? decision.settings.trigger : "unknown",
		    (int)pid, (int)pid);
	free(forbids);
	decision_free(&decision);
	return text;
}

char *no_ring_why(int32_t pid, const char *where)
{
	struct procfs p;

	if (procfs_read(&p, pid) < 0)
		return format_text("%d: no such process; see: gcpreload ps --all", pid);
	if (*p.ring)
		return format_text(
		    "%d: its measurements are in %s, not in %s; add --user %u or --dir", pid,
		    p.ring, where, p.uid);
	if (*p.python && *p.library)
		return why_none_yet(pid);
	return format_text("%d: no measurements in %s; see: gcpreload doctor --pid %d", pid, where,
			   pid);
}

/* SPDX-License-Identifier: MIT */
#include "cli/no_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/beneath.h"
#include "cli/decision.h"
#include "cli/memory.h"
#include "cli/text.h"
#include "ring/room.h"
#include "rules/helper.h"

#define LOADED_LATE "loaded late: into a Python that ran already, and not attached"
#define NOT_READY   "not ready yet, or not a server; see: gcpreload doctor --pid"

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

/* What a process finds where its ring is to be, or NULL; to be freed. */
static char *what_prevents(const struct decision *decision, pid_t pid)
{
	const char *dir = decision->settings.dir;
	char link[64];
	struct ring_room room;
	int root, fd, ret;

	snprintf(link, sizeof link, "/proc/%d/root", (int)pid);
	root = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return NULL;
	fd = beneath_open(root, dir);
	if (fd < 0 && errno == ELOOP) /* it may be a link, as the process sees it */
		fd = beneath_open_as_seen(root, dir);
	ret = fd < 0 ? -errno : ring_room_look(fd, &room);
	close(root);
	if (fd >= 0)
		close(fd);
	if (fd < 0)
		return format_text("no measurements in %s: %s", dir, strerror(-ret));
	if (ret < 0 || ring_room_slots(&room, UINT32_MAX))
		return NULL;
	return format_text("no room for measurements in %s: %.1f of %.1f MB free, a quarter stays "
			   "free; it may be tuned",
			   dir, (double)room.free / 1e6, (double)room.whole / 1e6);
}

/* Whether so many of its ancestors run the same command, so that each was forked by the next. */
static bool was_forked(const struct procfs *p, unsigned times)
{
	struct procfs child = *p, parent;

	for (; times; times--, child = parent)
		if (procfs_read(&parent, child.ppid) < 0 || !*parent.library ||
		    strcmp(parent.command, child.command) != 0)
			return false;
	return true;
}

/* The child of a process that is attached begins like any other. */
static bool is_not_attached(const struct procfs *p)
{
	struct procfs parent;

	return p->loaded_late && (procfs_read(&parent, p->ppid) < 0 || !*parent.ring);
}

/* Who works on one job gets none; NULL for others; to be freed. */
static char *what_job(const struct decision *decision, const struct procfs *p)
{
	const struct helper *helper = decision->settings.helper;

	if (!helper || !helper->jobs || !was_forked(p, helper->jobs))
		return NULL;
	return format_text("%s, which is left alone", helper->why);
}

char *no_ring_reason(const struct procfs *p, bool *comes)
{
	struct decision decision;
	const char *observed;
	char *text;

	*comes = false;
	if (p->ring_removed)
		return memory_need(
		    strdup("its measurement file was removed; it makes a new one when "
			   "it works or waits for requests"));
	if (is_not_attached(p))
		return memory_need(strdup(LOADED_LATE));
	if (decision_of_process(&decision, p->pid) < 0) {
		*comes = true;
		return memory_need(strdup(NOT_READY));
	}
	text = what_forbids(&decision);
	if (!text)
		text = what_job(&decision, p);
	if (!text)
		text = what_prevents(&decision, p->pid);
	*comes = !text;
	observed = reason_of(&decision, DECISION_OBSERVED);
	if (!text)
		text = memory_need(strdup(observed ? observed : NOT_READY));
	decision_free(&decision);
	return text;
}

/* Under the library, and no file: it has not come so far, or is to have none. */
static char *why_none_yet(const struct procfs *p)
{
	struct decision decision;
	char *forbids, *prevents, *text;
	pid_t pid = p->pid;

	if (decision_of_process(&decision, pid) < 0)
		memset(&decision, 0, sizeof decision);
	forbids = what_forbids(&decision);
	prevents = forbids || p->ring_removed ? NULL : what_prevents(&decision, pid);
	if (p->ring_removed)
		text = format_text("%d: its measurement file was removed, so it receives no "
				   "commands; it makes a new one when it works or waits for "
				   "requests: try again",
				   (int)pid);
	else if (prevents)
		text = format_text("%d: it receives no commands: %s; make room, then try again",
				   (int)pid, prevents);
	else if (forbids)
		text = format_text("%d: no measurement file, so it receives no commands: %s%s",
				   (int)pid, forbids,
				   decision.settings.helper && decision.settings.excluded
				       ? ""
				       : "; start it without that setting");
	else
		text = format_text(
		    "%d: no measurements yet, and its commands are not read from here, but from %s "
		    "as it sees it; it waits for its trigger (%s); see: gcpreload doctor --pid %d",
		    (int)pid, decision.settings.dir ? decision.settings.dir : "a directory",
		    decision.settings.trigger ? decision.settings.trigger : "unknown", (int)pid);
	free(prevents);
	free(forbids);
	decision_free(&decision);
	return text;
}

char *no_ring_out_of_reach(pid_t pid, const char *dir)
{
	struct decision decision;
	char *setting, *text = NULL;

	if (decision_of_process(&decision, pid) < 0)
		return NULL;
	if (!reason_of(&decision, DECISION_NONE) && decision.settings.ring == GCPRELOAD_RING_OFF &&
	    (!dir || strcmp(dir, decision.settings.dir) == 0)) {
		setting = decision_setting(&decision, SETTINGS_RING);
		text = format_text("%d: cannot be reached: %s: it reads no commands; restart it "
				   "with GCPRELOAD_MODE",
				   (int)pid, setting);
		free(setting);
	}
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
	if (*p.python && is_not_attached(&p))
		return format_text("%d: it receives no commands: " LOADED_LATE, pid);
	if (*p.python && *p.library)
		return why_none_yet(&p);
	return format_text("%d: no measurements in %s; see: gcpreload doctor --pid %d", pid, where,
			   pid);
}

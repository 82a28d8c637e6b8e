/* SPDX-License-Identifier: MIT */
#include "cli/tell_say.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/no_ring.h"
#include "cli/procfs.h"
#include "cli/text.h"

bool tell_stands(const struct tell *tell)
{
	return !tell->n_pids && strncmp(tell->verb, "mode=", 5) == 0;
}

bool tell_obeyed(const struct tell *tell, const struct gcpreload_header *h)
{
	const char *mode = strncmp(tell->verb, "mode=", 5) == 0 ? tell->verb + 5 : "";

	/* What it goes back to, only itself knows. */
	if (strcmp(mode, "default") == 0)
		return h->minor >= 3;
	if (*mode && strcmp(mode, gcpreload_mode_name(h->mode)) != 0)
		return false;
	if (strcmp(mode, "off") == 0)
		return h->state == GCPRELOAD_STATE_OFF;
	if (strcmp(mode, "observe") == 0)
		return h->state == GCPRELOAD_STATE_OBSERVING;
	if (strcmp(tell->verb, "thaw") != 0)
		return h->state == GCPRELOAD_STATE_READY ||
		       (tell_stands(tell) && h->state == GCPRELOAD_STATE_BASELINE);
	return h->frozen_objects <= 0 && h->state != GCPRELOAD_STATE_READY &&
	       h->state != GCPRELOAD_STATE_PARENT && h->state != GCPRELOAD_STATE_BASELINE;
}

static void say_disobedience(struct tell *tell, const struct gcpreload_header *h)
{
	tell->exit = EXIT_NO;
	if (strcmp(tell->verb, "mode=default") == 0)
		text_complain("%d: its library is of before layout 1.3 and cannot go back to its "
			      "settings; name the mode, or restart it",
			      h->pid);
	else if (h->state != GCPRELOAD_STATE_STANDING_BACK)
		text_complain("%d: received the command, but has not changed yet; use a longer "
			      "--wait or see: gcpreload ps",
			      h->pid);
	else if (h->frozen_objects > 0)
		text_complain("%d: received the command, but stands back: nothing changed, %" PRId64
			      " objects are still frozen; restart it, or call gc.unfreeze() in it",
			      h->pid, h->frozen_objects);
	else
		text_complain(
		    "%d: received the command, but stands back: nothing changed; to override, "
		    "start it with GCPRELOAD_FORCE=1",
		    h->pid);
}

static void say_parent(const struct tell *tell, const struct gcpreload_header *h)
{
	if (h->minor >= 3)
		printf("%d: %s: parent of workers, does it when it forks the next one\n", h->pid,
		       tell->verb);
	else
		text_complain(
		    "%d: a parent of workers whose library is of before layout 1.3: workers "
		    "that it forks later are not told; restart it",
		    h->pid);
}

static void say_no_answer(struct tell *tell, const struct target *target)
{
	const struct gcpreload_header *h = &target->reader.header;

	/* Whatever comes in its place begins with what stands. */
	if (target->gone && tell_stands(tell)) {
		printf("%d: ended meanwhile\n", h->pid);
		return;
	}
	tell->exit = EXIT_NO;
	if (target->gone)
		text_complain("%d: no answer: the process ended; see: gcpreload ps --all", h->pid);
	else
		text_complain(
		    "%d: no answer yet: it neither waited for requests nor collected; it acts "
		    "when it does, or use a longer --wait",
		    h->pid);
}

static void say_answer(struct tell *tell, const struct target *target)
{
	const struct gcpreload_header *h = &target->reader.header;
	char reason[600];

	if (target->answered) {
		printf("%d: %s: mode %s, %s%s%s\n", h->pid, tell->verb,
		       gcpreload_mode_name(h->mode), gcpreload_state_name(h->state),
		       *h->reason ? ": " : "", text_safe(reason, sizeof reason, h->reason));
		if (!gcpreload_is_parent(h) && !tell_obeyed(tell, h))
			say_disobedience(tell, h);
	} else if (!target->gone && gcpreload_is_parent(h)) {
		say_parent(tell, h);
	} else if (!tell->no_wait || target->gone) {
		say_no_answer(tell, target);
	}
}

static void say_count(const struct tell *tell)
{
	size_t i, serve = 0, have = 0, parents = 0;

	for (i = 0; i < tell->n_targets; i++) {
		const struct target *target = &tell->targets[i];
		const struct gcpreload_header *h = &target->reader.header;

		if (target->gone)
			continue;
		parents += gcpreload_is_parent(h);
		serve += !gcpreload_is_parent(h);
		have += !gcpreload_is_parent(h) && target->answered && tell_obeyed(tell, h);
	}
	if (tell->no_wait)
		printf("%s: written; %zu processes serve\n", tell->verb, serve);
	else
		printf("%s: %zu of %zu processes that serve have it", tell->verb, have, serve);
	if (!tell->no_wait && parents)
		printf("; %zu parent%s apart", parents, parents == 1 ? "" : "s");
	if (!tell->no_wait)
		puts("");
}

/* One that has not begun to serve takes what stands when it does. */
static void tell_without_ring(void *arg, const struct procfs *p)
{
	struct tell *tell = arg;
	char *why = no_ring_out_of_reach(p->pid, tell->choice.dir);

	if (!why)
		return;
	text_complain("%s", why);
	free(why);
	tell->exit = EXIT_NO;
}

static void tell_say_others(struct tell *tell)
{
	uint32_t uid =
	    tell->choice.user ? (uint32_t)strtoul(tell->choice.user, NULL, 10) : geteuid();

	rings_say_others(&tell->choice);
	if (!tell->choice.root)
		procfs_without_ring(uid, tell->choice.all_users, tell_without_ring, tell);
}

/* It has no ring, and was told. */
static void say_ringless(struct tell *tell, int32_t pid)
{
	if (tell->no_wait) {
		printf("%d: %s: written; no measurements yet\n", pid, tell->verb);
		return;
	}
	text_complain("%d: no answer yet: it has no measurements yet, and has not collected; it "
		      "acts when it does, or use a longer --wait",
		      pid);
	tell->exit = EXIT_NO;
}

static void tell_say_missing(struct tell *tell, const char *where)
{
	size_t i, n_written = 0;
	char *why;

	for (i = 0; i < tell->n_pids; i++) {
		if (tell->pid_seen[i])
			continue;
		if (tell->pid_written[i] && kill(tell->pids[i], 0) == 0) {
			n_written++;
			say_ringless(tell, tell->pids[i]);
			continue;
		}
		why = no_ring_why(tell->pids[i], where);
		text_complain("%s", why);
		free(why);
		tell->exit = EXIT_NO;
	}
	if (tell_stands(tell))
		tell_say_others(tell);
	if (tell->n_targets || n_written || tell->exit != EXIT_FINE)
		return;
	if (tell->n_written) {
		printf("%s: no process runs now; it is in force for those that start\n",
		       tell->verb);
		return;
	}
	tell->exit = EXIT_NO;
	if (!tell_stands(tell))
		rings_say_others(&tell->choice);
	if (tell->service)
		text_complain("%s: no running process of this service in %s; for the names see: "
			      "gcpreload ps --json",
			      tell->service, where);
	else
		text_complain("%s: no running process has measurements; see: gcpreload ps --all",
			      where);
}

void tell_say_all(struct tell *tell, const char *where)
{
	size_t i;

	for (i = 0; i < tell->n_targets; i++)
		say_answer(tell, &tell->targets[i]);
	tell_say_missing(tell, where);
	if (tell->n_targets && tell->n_pids != 1)
		say_count(tell);
}

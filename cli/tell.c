/* SPDX-License-Identifier: MIT */
#include "cli/tell.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/memory.h"
#include "cli/no_ring.h"
#include "cli/options.h"
#include "cli/rings.h"
#include "cli/text.h"

#define MODE_VERBS "mode=off, mode=observe, mode=freeze, mode=idle or mode=concurrent"

/* A process that is told. */
struct target {
	struct gcpreload_reader reader;
	uint64_t serial;
	bool answered;
	bool gone;
};

struct tell {
	struct rings_choice choice;
	const char *verb;
	const char *service;
	bool all;
	double timeout;
	int32_t *pids;
	bool *pid_seen;
	size_t n_pids;
	struct target *targets;
	size_t n_targets;
	int exit;
};

static bool tell_wanted(struct tell *tell, const struct gcpreload_header *h)
{
	size_t i;

	for (i = 0; i < tell->n_pids; i++)
		if (tell->pids[i] == h->pid) {
			tell->pid_seen[i] = true;
			return true;
		}
	return tell->all || (tell->service && strcmp(tell->service, h->service_name) == 0);
}

static uint64_t tell_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Fills the file. A process takes it only from its own user, so root gives it away. */
static int tell_fill(int fd, const struct rings_dir *dir, const char *text)
{
	size_t n = strlen(text);

	if (write(fd, text, n) != (ssize_t)n)
		return errno ? -errno : -EIO;
	if (dir->owner != geteuid() && fchown(fd, dir->owner, (gid_t)-1) < 0)
		return -errno;
	return 0;
}

/* Written whole under a hidden name, then renamed: a process never reads half of it. */
static int write_control(const struct rings_dir *dir, const char *ring, const char *text)
{
	char hidden[300], name[300];
	int fd, ret;

	snprintf(name, sizeof name, "%s.ctl", ring);
	snprintf(hidden, sizeof hidden, ".%s.ctl.new", ring);
	unlinkat(dir->fd, hidden, 0); /* of a command that was killed */
	fd = openat(dir->fd, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = tell_fill(fd, dir, text);
	if (close(fd) < 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && renameat(dir->fd, hidden, dir->fd, name) < 0)
		ret = -errno;
	if (ret < 0)
		unlinkat(dir->fd, hidden, 0);
	return ret;
}

static void tell_one(void *arg, struct ring *ring)
{
	struct tell *tell = arg;
	struct target *target;
	char text[GCPRELOAD_CONTROL_SIZE];
	uint64_t serial = tell_now(CLOCK_REALTIME);
	int ret;

	if (ring->why || !ring->alive || !tell_wanted(tell, &ring->reader.header))
		return;
	/* It grows even where the clock was set back. */
	if (serial <= ring->reader.header.control_serial)
		serial = ring->reader.header.control_serial + 1;
	snprintf(text, sizeof text, GCPRELOAD_CONTROL_MAGIC "%" PRIu64 " %s\n", serial, tell->verb);
	ret = ring->dir->foreign ? -EPERM : write_control(ring->dir, ring->name, text);
	if (ret < 0) {
		text_complain(
		    "%d: the command cannot be written to %s/%s.ctl: %s; run as its owner or "
		    "as root",
		    ring->reader.header.pid, ring->dir->path, ring->name, strerror(-ret));
		tell->exit = EXIT_NO;
		return;
	}
	tell->targets = memory_need(realloc(tell->targets, (tell->n_targets + 1) * sizeof *target));
	target = &tell->targets[tell->n_targets++];
	memset(target, 0, sizeof *target);
	target->reader = ring->reader;
	target->serial = serial;
	ring->reader.fd = -1; /* ours now */
}

/* Whether it is what the verb wants. */
static bool tell_obeyed(const struct tell *tell, const struct gcpreload_header *h)
{
	const char *mode = strncmp(tell->verb, "mode=", 5) == 0 ? tell->verb + 5 : "";

	if (*mode && strcmp(mode, gcpreload_mode_name(h->mode)) != 0)
		return false;
	if (strcmp(mode, "off") == 0)
		return h->state == GCPRELOAD_STATE_OFF;
	if (strcmp(mode, "observe") == 0)
		return h->state == GCPRELOAD_STATE_OBSERVING;
	if (strcmp(tell->verb, "thaw") != 0)
		return h->state == GCPRELOAD_STATE_READY;
	return h->frozen_objects <= 0 && h->state != GCPRELOAD_STATE_READY &&
	       h->state != GCPRELOAD_STATE_PARENT && h->state != GCPRELOAD_STATE_BASELINE;
}

/* Whether there is nothing left to wait for. In gevent's and uvloop's loops a process answers, and
 * does it a little later. */
static bool tell_settled(const struct tell *tell, struct target *target)
{
	const struct gcpreload_header *h = &target->reader.header;
	const char *why;

	if (target->gone)
		return true;
	if (gcpreload_reader_refresh(&target->reader, &why) < 0)
		target->gone = true;
	else if (h->control_serial >= target->serial)
		target->answered = true;
	else if (!gcpreload_reader_alive(&target->reader))
		target->gone = true;
	if (target->answered && !target->gone && !tell_obeyed(tell, h) &&
	    h->state != GCPRELOAD_STATE_STANDING_BACK)
		return !gcpreload_reader_alive(&target->reader);
	return target->answered || target->gone;
}

static void wait_for_answers(struct tell *tell)
{
	const struct timespec pause = { 0, 20000000 };
	uint64_t end = tell_now(CLOCK_MONOTONIC) + (uint64_t)(tell->timeout * 1e9);
	size_t i, n;

	for (;;) {
		for (n = 0, i = 0; i < tell->n_targets; i++)
			n += tell_settled(tell, &tell->targets[i]);
		if (n == tell->n_targets || tell_now(CLOCK_MONOTONIC) >= end)
			return;
		nanosleep(&pause, NULL);
	}
}

static void say_disobedience(struct tell *tell, const struct gcpreload_header *h)
{
	tell->exit = EXIT_NO;
	if (h->state != GCPRELOAD_STATE_STANDING_BACK) {
		text_complain("%d: received the command, but has not changed yet; use a longer "
			      "--timeout or see: gcpreload ps",
			      h->pid);
		return;
	}
	if (h->frozen_objects > 0)
		text_complain("%d: received the command, but stands back: nothing changed, %" PRId64
			      " objects are still frozen; restart it, or call gc.unfreeze() in it",
			      h->pid, h->frozen_objects);
	else
		text_complain(
		    "%d: received the command, but stands back: nothing changed; to override, "
		    "start it with GCPRELOAD_FORCE=1",
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
		if (!tell_obeyed(tell, h))
			say_disobedience(tell, h);
		return;
	}
	tell->exit = EXIT_NO;
	if (target->gone)
		text_complain("%d: no answer: the process ended; see: gcpreload ps --all", h->pid);
	else
		text_complain(
		    "%d: no answer yet: it neither waited for requests nor collected; it acts "
		    "when it does, or use a longer --timeout",
		    h->pid);
}

static void tell_say_missing(struct tell *tell, const char *where)
{
	size_t i;
	char *why;

	for (i = 0; i < tell->n_pids; i++) {
		if (tell->pid_seen[i])
			continue;
		why = no_ring_why(tell->pids[i], where);
		text_complain("%s", why);
		free(why);
		tell->exit = EXIT_NO;
	}
	if (tell->n_targets || tell->exit != EXIT_FINE)
		return;
	tell->exit = EXIT_NO;
	rings_say_others(&tell->choice);
	if (tell->service)
		text_complain("%s: no running process of this service in %s; for the names see: "
			      "gcpreload ps --json",
			      tell->service, where);
	else
		text_complain("%s: no running process has measurements; see: gcpreload ps --all",
			      where);
}

static bool is_mode_verb(const char *text)
{
	unsigned mode;

	if (strncmp(text, "mode=", 5) != 0)
		return false;
	for (mode = 0; mode < GCPRELOAD_MODES; mode++)
		if (strcmp(text + 5, gcpreload_mode_name(mode)) == 0)
			return true;
	return false;
}

static int tell_operands(struct tell *tell, const struct command *command, int argc, char **argv)
{
	long long pid;

	tell->pids = memory_need(calloc((size_t)argc + 1, sizeof *tell->pids));
	tell->pid_seen = memory_need(calloc((size_t)argc + 1, sizeof *tell->pid_seen));
	for (; optind < argc; optind++) {
		const char *word = argv[optind];

		if (text_number(word, 1, INT32_MAX, &pid) == 0)
			tell->pids[tell->n_pids++] = (int32_t)pid;
		else if (!tell->verb && is_mode_verb(word))
			tell->verb = word;
		else if (strcmp(command->name, "set") == 0)
			return options_wrong(command, "%s: neither a process ID nor " MODE_VERBS,
					     word);
		else
			return options_wrong(command, "%s: not a process ID", word);
	}
	if (!tell->verb)
		return options_wrong(command, "no mode given; add " MODE_VERBS);
	if (!tell->n_pids && !tell->service && !tell->all)
		return options_wrong(command,
				     "no processes given; add PIDs, --service NAME or --all");
	if (!!tell->n_pids + !!tell->service + tell->all > 1)
		return options_wrong(command, "PIDs, --service and --all cannot be combined");
	return -1;
}

static int tell_options(struct tell *tell, const struct command *command, int argc, char **argv)
{
	static const struct option longs[] = { RINGS_OPTIONS,
					       OPTION_HELP,
					       { "all", no_argument, NULL, 'a' },
					       { "service", required_argument, NULL, 's' },
					       { "timeout", required_argument, NULL, 't' },
					       { 0 } };
	struct options o = { command, argc, argv, ":" RINGS_SHORTS "as:t:h", longs, -1, 0 };
	const char *why;
	char *end;
	int c;

	while ((c = options_next(&o)) != -1) {
		if (o.exit >= 0)
			return o.exit;
		if (c == 'a') {
			tell->all = true;
		} else if (c == 's') {
			tell->service = optarg;
		} else if (c == 't') {
			tell->timeout = strtod(optarg, &end);
			if (*end || end == optarg || !(tell->timeout >= 0 && tell->timeout < 1e6))
				return options_wrong(
				    command, "--timeout: %s: not a number of seconds", optarg);
		} else if (rings_option(&tell->choice, c, &why) < 0) {
			return options_wrong(command, "%s: %s", optarg, why);
		}
	}
	return tell_operands(tell, command, argc, argv);
}

static void tell_release(struct tell *tell)
{
	size_t i;

	for (i = 0; i < tell->n_targets; i++)
		gcpreload_reader_close(&tell->targets[i].reader);
	free(tell->targets);
	free(tell->pids);
	free(tell->pid_seen);
}

int tell_exec(const struct command *command, int argc, char **argv, const char *verb)
{
	struct tell tell = { .verb = verb, .timeout = 5, .exit = EXIT_FINE };
	char *where;
	size_t i;
	int ret = tell_options(&tell, command, argc, argv);

	if (ret < 0) {
		rings_each(&tell.choice, tell_one, &tell, &where);
		wait_for_answers(&tell);
		for (i = 0; i < tell.n_targets; i++)
			say_answer(&tell, &tell.targets[i]);
		tell_say_missing(&tell, where);
		free(where);
		ret = tell.exit;
	}
	tell_release(&tell);
	return ret;
}

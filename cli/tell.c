/* SPDX-License-Identifier: MIT */
#include "cli/tell.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "cli/memory.h"
#include "cli/options.h"
#include "cli/ringless.h"
#include "cli/rings.h"
#include "cli/standing.h"
#include "cli/tell_say.h"
#include "cli/text.h"
#include "ring/control.h"

#define MODE_VERBS     "mode=off, mode=observe, mode=freeze, mode=idle, mode=concurrent or mode=default"
#define WAIT_SECONDS   60 /* what is known to answer late has done so */
#define SAY_AFTER_NS   2000000000ull
#define RINGLESS_EVERY 5 /* looks at answers: all rings are opened to find one that is new */

static volatile sig_atomic_t tell_interrupted;

static void tell_on_interrupt(int number)
{
	(void)number;
	tell_interrupted = 1;
}

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

/* ---- writing ---- */

static void tell_be_newer(struct tell *tell, uint64_t than)
{
	if (tell->serial <= than)
		tell->serial = than + 1;
}

/* Serials grow even where the clock was set back. */
static void tell_look_at_ring(void *arg, struct ring *ring)
{
	if (!ring->why)
		tell_be_newer(arg, ring->reader.header.control_serial);
}

static void tell_look_at_dir(void *arg, const struct rings_dir *dir)
{
	tell_be_newer(arg, standing_newest(dir));
}

static void tell_cannot_write(struct tell *tell, const struct rings_dir *dir, const char *name,
			      int error)
{
	text_complain("%s/%s: the command cannot be written: %s; run as its owner or as root",
		      dir->path, name, strerror(error));
	tell->exit = EXIT_NO;
}

static void tell_dir(void *arg, const struct rings_dir *dir)
{
	struct tell *tell = arg;
	char name[GCPRELOAD_CONTROL_NAME];
	int ret;

	gcpreload_control_name(name, tell->service);
	ret = standing_write(dir, name, tell->serial, tell->verb);
	if (ret < 0)
		tell_cannot_write(tell, dir, name, -ret);
	else
		tell->n_written++;
}

static void tell_add_target(struct tell *tell, struct ring *ring)
{
	struct target *target;

	tell->targets = memory_need(realloc(tell->targets, (tell->n_targets + 1) * sizeof *target));
	target = &tell->targets[tell->n_targets++];
	memset(target, 0, sizeof *target);
	target->reader = ring->reader;
	target->serial = tell->serial;
	ring->reader.fd = -1; /* ours now */
}

/* Whether something runs there: it holds a lock on its file, whatever the layout. */
static bool tell_is_locked(const struct ring *ring)
{
	int fd = openat(ring->dir->fd, ring->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return locked;
}

static void tell_unreadable(struct tell *tell, const struct ring *ring)
{
	if (tell->n_pids || !tell_is_locked(ring))
		return;
	text_complain("%s/%s: a process that cannot be reached: %s", ring->dir->path, ring->name,
		      ring->why);
	tell->exit = EXIT_NO;
}

/* A process of this version reads the file of its service or directory; one of before 1.3 only its
 * own. */
static void tell_one(void *arg, struct ring *ring)
{
	const struct gcpreload_header *h = &ring->reader.header;
	struct tell *tell = arg;
	char name[GCPRELOAD_CONTROL_NAME];
	int ret = 0;

	if (ring->why) {
		tell_unreadable(tell, ring);
		return;
	}
	if (!ring->alive || !tell_wanted(tell, h))
		return;
	snprintf(name, sizeof name, "%.200s.ctl", ring->name);
	if (!tell_stands(tell) || h->minor < 3)
		ret = standing_write(ring->dir, name, tell->serial, tell->verb);
	if (ret < 0)
		tell_cannot_write(tell, ring->dir, name, -ret);
	else
		tell_add_target(tell, ring);
}

/* It makes a ring when it takes the command. */
static void tell_ringless(struct tell *tell, size_t i)
{
	char *path;
	int ret = ringless_tell(&tell->choice, tell->pids[i], tell->serial, tell->verb, &path);

	tell->pid_written[i] = ret > 0;
	if (ret < 0) {
		text_complain("%s: the command cannot be written: %s; run as its owner or as root",
			      path, strerror(-ret));
		tell->exit = EXIT_NO;
	}
	free(path);
}

static void tell_write(struct tell *tell, char **where)
{
	size_t i;

	tell->serial = tell_now(CLOCK_REALTIME);
	rings_dirs(&tell->choice, tell_look_at_dir, tell, NULL);
	rings_each(&tell->choice, tell_look_at_ring, tell, NULL);
	if (tell_stands(tell) && !rings_dirs(&tell->choice, tell_dir, tell, NULL) &&
	    !tell->choice.all_users && !tell->choice.root && standing_make_dir(&tell->choice) == 0)
		rings_dirs(&tell->choice, tell_dir, tell, NULL);
	rings_each(&tell->choice, tell_one, tell, where);
	for (i = 0; i < tell->n_pids; i++)
		if (!tell->pid_seen[i])
			tell_ringless(tell, i);
}

/* ---- answers ---- */

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
	if (gcpreload_is_parent(h))
		return true;
	if (target->answered && !target->gone && !tell_obeyed(tell, h) &&
	    h->state != GCPRELOAD_STATE_STANDING_BACK)
		return !gcpreload_reader_alive(&target->reader);
	return target->answered || target->gone;
}

static size_t tell_pending(struct tell *tell)
{
	size_t i, n = 0;

	for (i = 0; i < tell->n_targets; i++)
		n += !tell_settled(tell, &tell->targets[i]);
	return n;
}

/* A worker that began meanwhile has what stands, and is to be seen to have it. */
static void tell_add_new(void *arg, struct ring *ring)
{
	const struct gcpreload_header *h = &ring->reader.header, *known;
	struct tell *tell = arg;
	size_t i;

	if (ring->why || !ring->alive || !tell_wanted(tell, h))
		return;
	for (i = 0; i < tell->n_targets; i++) {
		known = &tell->targets[i].reader.header;
		if (known->pid == h->pid && known->start_time == h->start_time &&
		    known->pid_namespace == h->pid_namespace && known->uid == h->uid)
			return;
	}
	tell_add_target(tell, ring);
}

/* Processes without a ring that were told, and still run. */
static size_t tell_ringless_pending(const struct tell *tell)
{
	size_t i, n = 0;

	for (i = 0; i < tell->n_pids; i++)
		n += tell->pid_written[i] && !tell->pid_seen[i] &&
		     (kill(tell->pids[i], 0) == 0 || errno != ESRCH);
	return n;
}

static void tell_say_waiting(const struct tell *tell, size_t n)
{
	if (isatty(STDERR_FILENO))
		text_complain("waiting up to %.0f s for %zu of %zu processes: each answers at its "
			      "next wait for requests or collection; Ctrl-C stops waiting, the "
			      "command stays",
			      tell->timeout, n, tell->n_targets + tell_ringless_pending(tell));
}

static void tell_wait(struct tell *tell)
{
	const struct timespec pause = { 0, 20000000 };
	uint64_t begin = tell_now(CLOCK_MONOTONIC), now;
	uint64_t end = begin + (uint64_t)(tell->timeout * 1e9);
	size_t n, before, ringless, looks = 0;
	bool said = false;

	for (;;) {
		ringless = tell_ringless_pending(tell);
		n = tell_pending(tell) + ringless;
		before = tell->n_targets;
		if ((ringless && looks++ % RINGLESS_EVERY == 0) || (!n && tell_stands(tell)))
			rings_each(&tell->choice, tell_add_new, tell, NULL);
		now = tell_now(CLOCK_MONOTONIC);
		if ((!n && before == tell->n_targets) || now >= end || tell_interrupted)
			return;
		if (!said && n && now - begin > SAY_AFTER_NS) {
			tell_say_waiting(tell, n);
			said = true;
		}
		nanosleep(&pause, NULL);
	}
}

/* ---- the command line ---- */

static bool is_mode_verb(const char *text)
{
	unsigned mode;

	if (strncmp(text, "mode=", 5) != 0)
		return false;
	if (strcmp(text + 5, "default") == 0)
		return true;
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
	tell->pid_written = memory_need(calloc((size_t)argc + 1, sizeof *tell->pid_written));
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
	if (tell->list)
		return tell->verb || tell->n_pids || tell->service || tell->all
			   ? options_wrong(command, "--list: takes neither a mode nor processes")
			   : -1;
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
					       OPTION_JSON,
					       { "all", no_argument, NULL, 'a' },
					       { "service", required_argument, NULL, 's' },
					       { "wait", required_argument, NULL, 'w' },
					       { "timeout", required_argument, NULL, 'w' },
					       { "no-wait", no_argument, NULL, 'W' },
					       { "list", no_argument, NULL, 'l' },
					       { 0 } };
	struct options o = { command, argc, argv, ":" RINGS_SHORTS "as:w:lh", longs, -1, 0 };
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
		} else if (c == 'j') {
			tell->json = true;
		} else if (c == 'l') {
			tell->list = true;
		} else if (c == 'W') {
			tell->no_wait = true;
		} else if (c == 'w') {
			tell->timeout = strtod(optarg, &end);
			if (*end || end == optarg || !(tell->timeout >= 0 && tell->timeout < 1e6))
				return options_wrong(command, "--wait: %s: not a number of seconds",
						     optarg);
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
	free(tell->pid_written);
}

static int tell_now_and_wait(struct tell *tell)
{
	struct sigaction action = { .sa_handler = tell_on_interrupt };
	char *where;

	tell_write(tell, &where);
	sigaction(SIGINT, &action, NULL);
	if (tell->no_wait)
		tell_pending(tell);
	else
		tell_wait(tell);
	tell_say_all(tell, where);
	free(where);
	return tell->exit;
}

int tell_exec(const struct command *command, int argc, char **argv, const char *verb)
{
	struct tell tell = { .verb = verb, .timeout = WAIT_SECONDS, .exit = EXIT_FINE };
	int ret = tell_options(&tell, command, argc, argv);

	if (ret < 0)
		ret = tell.list ? standing_list(&tell.choice, tell.json) : tell_now_and_wait(&tell);
	tell_release(&tell);
	return ret;
}

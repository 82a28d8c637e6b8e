/* SPDX-License-Identifier: MIT */
#include "cli/export/gather.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fnv.h"
#include "cli/export/past.h"
#include "cli/export/services.h"
#include "cli/memory.h"
#include "cli/newer.h"
#include "cli/text.h"
#include "ring/histogram.h"
#include "ring/names.h"

#define CONSISTENT_TRIES 20   /* looks between which something was folded */
#define MOST_OPEN	 4096 /* descriptors kept */
#define MOST_DIRS	 1024 /* that are there at once */
#define KEPT_DIRS	 512  /* containers come and go: of those that went no more are kept */

/* The directory that is being looked at. */
struct look {
	struct gather *gather;
	struct gather_dir *dir;
	int fd;
	const char *path;
	const struct rings_choice *choice;
	size_t rings;
};

/* ---- processes ---- */

void gather_add(gather_series sum, struct gather_process *process)
{
	struct counts counts = { .words = NULL };

	if (process->counted) {
		counts_add(sum, &process->counts);
	} else if (counts_read(&counts, &process->reader, COUNTS_ALL_PERIODS) == 0) {
		counts_add(sum, &counts);
		counts_free(&counts);
	}
}

bool gather_belongs(const struct gather_service *service, const struct gather_process *process)
{
	return process->service == service;
}

/* ---- the table ---- */

static size_t *gather_chain(struct gather *gather, const struct gather_dir *dir, const char *name)
{
	uint64_t hash = fnv_64(FNV_64 ^ dir->inode ^ dir->device << 32, name, strlen(name));

	return &gather->table[(hash ^ hash >> 32) % gather->table_size];
}

static void gather_enter(struct gather *gather, size_t i)
{
	struct gather_process *process = &gather->processes[i];
	size_t *first = gather_chain(gather, process->dir, process->name);

	process->next = *first;
	*first = i + 1;
}

static void enter_all(struct gather *gather)
{
	size_t i;

	if (!gather->room)
		return;
	if (gather->table_size < gather->room) {
		gather->table_size = gather->room;
		free(gather->table);
		gather->table = memory_need(malloc(gather->table_size * sizeof *gather->table));
	}
	memset(gather->table, 0, gather->table_size * sizeof *gather->table);
	for (i = 0; i < gather->n_processes; i++)
		gather_enter(gather, i);
}

static struct gather_process *gather_known(struct gather *gather, const struct gather_dir *dir,
					   const char *name)
{
	size_t i;

	if (!gather->table_size)
		return NULL;
	for (i = *gather_chain(gather, dir, name); i; i = gather->processes[i - 1].next)
		if (gather->processes[i - 1].dir == dir &&
		    strcmp(gather->processes[i - 1].name, name) == 0)
			return &gather->processes[i - 1];
	return NULL;
}

static struct gather_process *new_process(struct gather *gather, struct gather_dir *dir,
					  const char *name)
{
	struct gather_process *process;

	if (gather->n_processes == gather->room) {
		gather->room = gather->room ? 2 * gather->room : 64;
		gather->processes = memory_need(
		    realloc(gather->processes, gather->room * sizeof *gather->processes));
		enter_all(gather);
	}
	process = &gather->processes[gather->n_processes++];
	*process = (struct gather_process){ .name = memory_need(strdup(name)),
					    .dir = dir,
					    .reader.fd = -1 };
	gather_enter(gather, gather->n_processes - 1);
	return process;
}

/* ---- reading ---- */

/* Where a process can have counted since it was read. The files of a thousand processes are not in
 * the processor's caches, and to read all of them takes longer than all else. */
static unsigned changed_periods(const struct gather_process *process,
				const struct gcpreload_header *was,
				const struct gcpreload_header *is)
{
	unsigned entered = 1u << GCPRELOAD_PERIOD_STARTUP, p;

	for (p = 0; p < GCPRELOAD_PERIODS; p++)
		if (is->period == p || is->period_ns[p])
			entered |= 1u << p;
	/* Where the sums do not agree, one of them was on its way: into a new file, say. */
	if (!process->counted || !process->alive || was->sequence != is->sequence ||
	    process->counts.collections != was->head || is->period >= GCPRELOAD_PERIODS)
		return entered;
	return was->head != is->head ? 1u << is->period : 0;
}

/* What the ring says now, as far as it has changed. In this order: when it is seen to be dead, what
 * is read then is the last of it. */
static void read_ring(struct gather *gather, struct gather_process *process,
		      struct gcpreload_reader *reader)
{
	const struct gcpreload_header *was = &process->reader.header, *is = &reader->header;
	const char *why;
	int ret;

	process->alive = gcpreload_reader_alive(reader);
	ret = gcpreload_reader_refresh(reader, &why);
	if (ret == 0)
		ret = counts_read(&process->counts, reader, changed_periods(process, was, is));
	if (ret < 0)
		return;
	if (is->hits.written && (!process->counted || is->hits.written != was->hits.written))
		exemplars_read(&process->exemplars, reader);
	process->counted = true;
	process->final = !process->alive;
	if (!process->service || strcmp(process->service->name, is->service_name) != 0)
		process->service = services_named(gather, is->service_name);
}

static void close_process(struct gather *gather, struct gather_process *process)
{
	if (process->reader.fd >= 0)
		gather->n_open--;
	gcpreload_reader_close(&process->reader);
}

/* With too many descriptors only for now. */
static void note_unreadable(const struct look *look, const char *name, const char *why)
{
	struct gather_seen *seen = &look->gather->seen;
	char *text;

	if (gcpreload_name_kind(name) != GCPRELOAD_NAME_RING)
		return;
	text = format_text("%s/%s: cannot be read: %s", look->path, name, why);
	if (!seen->unreadable++)
		seen->why = memory_need(strdup(text));
	rings_say(look->choice, text);
}

static void open_and_read(const struct look *look, struct gather_process *process)
{
	struct gather *gather = look->gather;
	struct gcpreload_reader reader;
	const char *why;
	int ret = gcpreload_reader_open(&reader, look->fd, process->name, &why);

	if (ret < 0) {
		if (ret != -ENOENT) /* it is gone since it was listed */
			note_unreadable(look, process->name, why);
		return;
	}
	newer_say(look->choice, &reader.header);
	read_ring(gather, process, &reader);
	if (gather->n_open < gather->most_open) {
		gather->n_open++;
	} else {
		close(reader.fd);
		reader.fd = -1;
	}
	process->reader = reader;
}

/* Its file has no name any more; or its directory is not there, and nothing is open (gather_rest).
 */
static bool is_nameless(const struct gather_process *process)
{
	struct stat st;

	if (process->reader.fd < 0)
		return !process->alive && !process->final;
	return fstat(process->reader.fd, &st) == 0 && st.st_nlink == 0;
}

static void replace_older(struct gather *gather, const struct gather_process *newer)
{
	size_t i;

	for (i = 0; i < gather->n_processes; i++) {
		struct gather_process *process = &gather->processes[i];

		if (process != newer && process->counted &&
		    gcpreload_reader_same_process(&process->reader.header, &newer->reader.header) &&
		    is_nameless(process))
			process->replaced = true;
	}
}

static void gather_update(const struct look *look, struct gather_process *process)
{
	struct gcpreload_reader reader;

	if (process->final) /* what is dead does not change */
		return;
	if (process->reader.fd < 0) {
		open_and_read(look, process);
		return;
	}
	reader = process->reader;
	read_ring(look->gather, process, &reader);
	process->reader = reader;
}

/* ---- what is gone ---- */

/* Whether its numbers are among the totals of its directory. Where no descriptor was left to keep,
 * nobody can say, and so it is unless somebody uses rm. */
static bool was_folded(const struct gather_process *process)
{
	return process->reader.fd < 0 || gcpreload_retired_has(process->reader.fd) ||
	       past_has(process->dir, process->name);
}

/* Its file was removed, and it counts in there until it makes a new one. */
static bool lives_without_name(struct gather *gather, struct gather_process *process)
{
	struct gcpreload_reader reader = process->reader;

	if (reader.fd < 0 || process->replaced || was_folded(process) ||
	    !gcpreload_reader_alive(&reader))
		return false;
	read_ring(gather, process, &reader);
	process->reader = reader;
	return true;
}

static void remember_process(const struct gather_process *process)
{
	struct gather_past past = { .counts = process->counts };

	counters_read(&past.counters, &process->reader.header);
	past_remember(process->service, &past);
}

static void gather_leave(struct gather *gather, struct gather_process *process)
{
	if (process->dir->over) {
		if (process->service && !process->replaced &&
		    !past_has(process->dir, process->name))
			remember_process(process);
	} else if (process->service && !process->replaced && !was_folded(process)) {
		struct gcpreload_reader reader = process->reader;

		process->final = false;
		read_ring(gather, process, &reader);
		process->reader = reader;
		remember_process(process);
	}
	close_process(gather, process);
	counts_free(&process->counts);
	exemplars_free(&process->exemplars);
	free(process->name);
}

/* Its directory cannot be looked at now: it counts as it was, and keeps nothing open, since that
 * would keep a container's memory. */
static void gather_rest(struct gather *gather, struct gather_process *process)
{
	close_process(gather, process);
	process->alive = process->final = false;
}

static void gather_settle(struct gather *gather)
{
	size_t i, kept = 0;

	for (i = 0; i < gather->n_processes; i++) {
		struct gather_process *process = &gather->processes[i];

		bool here = process->dir->look == gather->look;

		if (process->replaced || process->dir->over ||
		    (here && process->round != process->dir->round &&
		     !lives_without_name(gather, process))) {
			gather_leave(gather, process);
			continue;
		}
		if (!here)
			gather_rest(gather, process);
		gather->processes[kept++] = *process;
	}
	gather->n_processes = kept;
}

/* ---- directories ---- */

/* The one that is not there for the longest, or NULL. */
static struct gather_dir *longest_gone(struct gather *gather)
{
	struct gather_dir *found = NULL;
	size_t i;

	for (i = 0; i < gather->n_dirs; i++) {
		struct gather_dir *dir = gather->dirs[i];

		if (dir->look < gather->look && !dir->over && (!found || dir->look < found->look))
			found = dir;
	}
	return found;
}

static void mark_gone_dirs(struct gather *gather)
{
	size_t n = gather->n_dirs;
	struct gather_dir *dir;

	while (n-- > KEPT_DIRS && (dir = longest_gone(gather)))
		dir->over = true;
}

/* When their processes have left. */
static void leave_gone_dirs(struct gather *gather)
{
	size_t i, kept = 0;

	for (i = 0; i < gather->n_dirs; i++) {
		struct gather_dir *dir = gather->dirs[i];

		if (dir->over) {
			past_leave(dir);
			past_free(dir);
		} else {
			gather->dirs[kept++] = dir;
		}
	}
	gather->n_dirs = kept;
}

/* The name is another file's now: is it of the same process, which made it for one that was
 * removed? All is read anew. */
static bool gather_moves_on(const struct look *look, struct gather_process *process, uint64_t inode)
{
	struct gather *gather = look->gather;
	struct gcpreload_reader reader;
	const char *why;

	if (gcpreload_reader_open(&reader, look->fd, process->name, &why) < 0)
		return false;
	if (!gcpreload_reader_same_process(&process->reader.header, &reader.header)) {
		gcpreload_reader_close(&reader);
		return false;
	}
	gcpreload_reader_close(&reader);
	close_process(gather, process);
	process->counted = process->final = false;
	process->inode = inode;
	open_and_read(look, process);
	return true;
}

static void gather_see(void *arg, const struct rings_dir *rings_dir, const struct dirent *entry)
{
	struct look *look = arg;
	struct gather *gather = look->gather;
	struct gather_process *process;

	(void)rings_dir;
	if (past_has(look->dir, entry->d_name))
		return;
	process = gather_known(gather, look->dir, entry->d_name);
	if (process && process->inode != entry->d_ino) {
		/* Another process: next time, when this one has left. */
		if (!gather_moves_on(look, process, entry->d_ino))
			return;
	} else if (process) {
		gather_update(look, process);
	} else {
		process = new_process(gather, look->dir, entry->d_name);
		process->inode = entry->d_ino;
		gather_update(look, process);
		replace_older(gather, process);
	}
	if (process->counted) { /* else it is no ring, and leaves again */
		look->rings++;
		process->round = look->dir->round;
	}
}

/* A directory is known by what it is, not by its path: that may lead to another one tomorrow, and
 * two paths to the same. */
static struct gather_dir *dir_of(struct gather *gather, int fd)
{
	struct gather_dir *dir, id = { 0 };
	struct statx st;
	size_t i;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) == 0) {
		id.device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
		id.inode = st.stx_ino;
		if (st.stx_mask & STATX_BTIME)
			id.born_ns =
			    (uint64_t)st.stx_btime.tv_sec * 1000000000u + st.stx_btime.tv_nsec;
	}
	for (i = 0; i < gather->n_dirs; i++) {
		dir = gather->dirs[i];
		if (dir->device == id.device && dir->inode == id.inode &&
		    dir->born_ns == id.born_ns)
			return dir;
	}
	if (gather->n_dirs == MOST_DIRS) {
		if (!gather->full)
			text_complain("more than %d directories with measurements: new ones are "
				      "ignored",
				      MOST_DIRS);
		gather->full = true;
		return NULL;
	}
	gather->dirs =
	    memory_need(realloc(gather->dirs, (gather->n_dirs + 1) * sizeof *gather->dirs));
	dir = memory_need(calloc(1, sizeof *dir));
	*dir = id;
	return gather->dirs[gather->n_dirs++] = dir;
}

/* A ring is removed only when the totals have it: where they are the same before and after we went
 * through the rings, each process was counted once, here or there. */
static void look_at_dir(void *arg, const struct rings_dir *rings_dir)
{
	struct gather *gather = arg;
	struct look look = { .gather = gather,
			     .dir = dir_of(gather, rings_dir->fd),
			     .fd = rings_dir->fd,
			     .path = rings_dir->path,
			     .choice = rings_dir->choice };
	size_t unreadable = gather->seen.unreadable;
	bool listed;
	int tries;

	if (!look.dir || look.dir->look == gather->look)
		return;
	for (tries = 0; tries < CONSISTENT_TRIES; tries++) {
		past_read(gather, look.dir, look.fd);
		look.dir->round++;
		look.rings = 0;
		gather->seen.unreadable = unreadable;
		listed = rings_names(rings_dir, gather_see, &look);
		if (!listed)
			return;
		if (past_is_same(look.dir, look.fd))
			break;
	}
	look.dir->look = gather->look;
	gather->seen.directories++;
	gather->seen.rings += look.rings;
}

static size_t may_open(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	return limit.rlim_cur / 2 < MOST_OPEN ? limit.rlim_cur / 2 : MOST_OPEN;
}

static void seen_forget(struct gather_seen *seen)
{
	uint64_t read_ns = seen->read_ns;

	free(seen->why);
	free(seen->trouble.why);
	*seen = (struct gather_seen){ .read_ns = read_ns };
}

static uint64_t gather_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool gather_is_blind(const struct gather *gather, const char **why)
{
	const struct gather_seen *seen = &gather->seen;

	*why = seen->trouble.why ? seen->trouble.why : seen->why;
	return *why && !seen->rings;
}

void gather_look(struct gather *gather)
{
	size_t i;

	seen_forget(&gather->seen);

	gather->look++;
	gather->most_open = may_open();
	enter_all(gather);
	for (i = 0; i < gather->n_choices; i++) {
		gather->choices[i].trouble = &gather->seen.trouble;
		rings_dirs(&gather->choices[i], look_at_dir, gather, NULL);
	}
	if (gather->seen.rings)
		gather->seen.read_ns = gather_time();
	mark_gone_dirs(gather);
	gather_settle(gather);
	leave_gone_dirs(gather);
	past_sum_up(gather);
}

void gather_free(struct gather *gather)
{
	size_t i;

	seen_forget(&gather->seen);

	for (i = 0; i < gather->n_processes; i++) {
		gcpreload_reader_close(&gather->processes[i].reader);
		counts_free(&gather->processes[i].counts);
		exemplars_free(&gather->processes[i].exemplars);
		free(gather->processes[i].name);
	}
	for (i = 0; i < gather->n_services; i++) {
		counts_free(&gather->services[i]->removed.counts);
		free(gather->services[i]->name);
		free(gather->services[i]);
	}
	for (i = 0; i < gather->n_dirs; i++)
		past_free(gather->dirs[i]);
	free(gather->table);
	free(gather->dirs);
	free(gather->processes);
	free(gather->services);
	free(gather->choices);
}

/* SPDX-License-Identifier: MIT */
#include "cli/standing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/json.h"
#include "cli/memory.h"
#include "cli/table.h"
#include "cli/text.h"
#include "ring/control.h"

#define SECOND 1000000000u

/* ---- writing ---- */

/* A process takes it only from its own user, so root gives it away. */
static int standing_fill(int fd, const struct rings_dir *dir, const char *text)
{
	size_t n = strlen(text);

	if (write(fd, text, n) != (ssize_t)n)
		return errno ? -errno : -EIO;
	if (dir->owner != geteuid() && fchown(fd, dir->owner, (gid_t)-1) < 0)
		return -errno;
	return 0;
}

/* Written whole under a hidden name, then renamed: a process never reads half of it. */
int standing_write(const struct rings_dir *dir, const char *name, uint64_t serial, const char *verb)
{
	char hidden[GCPRELOAD_CONTROL_NAME + 8], text[GCPRELOAD_CONTROL_SIZE];
	int fd, ret;

	if (dir->foreign)
		return -EPERM;
	snprintf(text, sizeof text, GCPRELOAD_CONTROL_MAGIC "%" PRIu64 " %s\n", serial, verb);
	snprintf(hidden, sizeof hidden, ".%s.new", name);
	unlinkat(dir->fd, hidden, 0); /* of a command that was killed */
	fd = openat(dir->fd, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	ret = standing_fill(fd, dir, text);
	if (close(fd) < 0 && ret == 0)
		ret = -errno;
	if (ret == 0 && renameat(dir->fd, hidden, dir->fd, name) < 0)
		ret = -errno;
	if (ret < 0)
		unlinkat(dir->fd, hidden, 0);
	return ret;
}

int standing_make_dir(const struct rings_choice *choice)
{
	const char *dir = choice->dir ? choice->dir : getenv("GCPRELOAD_DIR");
	uid_t uid = choice->user ? (uid_t)strtoul(choice->user, NULL, 10) : geteuid();
	char *path = format_text("%s/gcpreload-%u", dir && *dir ? dir : "/dev/shm", (unsigned)uid);
	int ret = mkdir(path, 0700) < 0 ? -errno : 0;

	if (ret == 0 && uid != geteuid() && lchown(path, uid, (gid_t)-1) < 0) {
		ret = -errno;
		rmdir(path);
	}
	free(path);
	return ret == -EEXIST ? 0 : ret;
}

/* ---- reading ---- */

typedef void standing_visit(void *arg, const struct rings_dir *dir, const char *name,
			    const char *service);

static void standing_each(const struct rings_dir *dir, standing_visit *visit, void *arg)
{
	int copy = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	char service[64];

	if (!list && copy >= 0)
		close(copy);
	while (list && (entry = readdir(list)))
		if (gcpreload_control_whose(entry->d_name, service))
			visit(arg, dir, entry->d_name, service);
	if (list)
		closedir(list);
}

static void standing_note_newest(void *arg, const struct rings_dir *dir, const char *name,
				 const char *service)
{
	struct gcpreload_control control;
	uint64_t *newest = arg;
	const char *why;

	(void)service;
	if (gcpreload_control_read(dir->fd, name, dir->owner, &control, &why) > 0 &&
	    control.serial > *newest)
		*newest = control.serial;
}

uint64_t standing_newest(const struct rings_dir *dir)
{
	uint64_t newest = 0;

	standing_each(dir, standing_note_newest, &newest);
	return newest;
}

/* ---- the list ---- */

struct standing_row {
	unsigned user;
	char service[64];
	int32_t pid; /* 0: a service's, or the directory's */
	char mode[GCPRELOAD_CONTROL_SIZE];
	uint64_t serial;
	int64_t since_ns; /* CLOCK_REALTIME */
};

struct standing_rows {
	struct standing_row *list;
	size_t n;
	uint64_t newest; /* of the directory that is looked at */
	int exit;
};

/* When it was written: renaming a file does not change its time. */
static int64_t standing_since(const struct rings_dir *dir, const char *name)
{
	struct stat st;

	if (fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * SECOND + st.st_mtim.tv_nsec;
}

static void standing_add(struct standing_rows *rows, const struct rings_dir *dir, const char *name,
			 const char *service, int32_t pid)
{
	struct gcpreload_control control;
	struct standing_row *row;
	const char *why;
	int ret = gcpreload_control_read(dir->fd, name, dir->owner, &control, &why);

	if (ret < 0) {
		text_complain("%s/%s: ignored: %s; remove it", dir->path, name, why);
		rows->exit = EXIT_NO;
	}
	if (ret <= 0 || !text_begins(control.verb, "mode=") ||
	    (pid && control.serial < rows->newest))
		return;
	rows->list = memory_need(realloc(rows->list, (rows->n + 1) * sizeof *row));
	row = &rows->list[rows->n++];
	memset(row, 0, sizeof *row);
	row->user = dir->owner;
	snprintf(row->service, sizeof row->service, "%s", service);
	row->pid = pid;
	snprintf(row->mode, sizeof row->mode, "%s", control.verb + strlen("mode="));
	row->serial = control.serial;
	row->since_ns = standing_since(dir, name);
}

static void standing_add_file(void *arg, const struct rings_dir *dir, const char *name,
			      const char *service)
{
	standing_add(arg, dir, name, service, 0);
}

static void standing_add_dir(void *arg, const struct rings_dir *dir)
{
	standing_each(dir, standing_add_file, arg);
}

/* Its own counts until something newer comes for its service, or for all. */
static void standing_add_process(void *arg, struct ring *ring)
{
	const char *service = ring->reader.header.service_name;
	char name[GCPRELOAD_CONTROL_NAME];
	struct standing_rows *rows = arg;
	size_t i;

	if (ring->why || !ring->alive)
		return;
	rows->newest = 0;
	for (i = 0; i < rows->n; i++)
		if (rows->list[i].user == ring->dir->owner && !rows->list[i].pid &&
		    (!*rows->list[i].service || strcmp(rows->list[i].service, service) == 0) &&
		    rows->list[i].serial > rows->newest)
			rows->newest = rows->list[i].serial;
	snprintf(name, sizeof name, "%.200s.ctl", ring->name);
	/* It may have been told before it had a ring. */
	if (faccessat(ring->dir->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		gcpreload_control_process(name, ring->reader.header.pid,
					  ring->reader.header.start_time);
	standing_add(rows, ring->dir, name, service, ring->reader.header.pid);
}

/* A mode that was taken back counted above, against older ones. */
static void standing_drop_defaults(struct standing_rows *rows)
{
	size_t i, kept = 0;

	for (i = 0; i < rows->n; i++)
		if (strcmp(rows->list[i].mode, "default") != 0)
			rows->list[kept++] = rows->list[i];
	rows->n = kept;
}

static int standing_compare(const void *a, const void *b)
{
	const struct standing_row *x = a, *y = b;
	int order = (x->user > y->user) - (x->user < y->user);

	if (!order)
		order = (x->pid > y->pid) - (x->pid < y->pid);
	return order ? order : strcmp(x->service, y->service);
}

static const char *standing_what(const struct standing_row *row)
{
	if (row->pid)
		return "process";
	return *row->service ? "service" : "all";
}

static void standing_print_json(const struct standing_rows *rows)
{
	const struct standing_row *row;
	struct json json;

	json_start(&json, stdout, true);
	json_open(&json, '[');
	for (row = rows->list; row < rows->list + rows->n; row++) {
		json_open(&json, '{');
		json_pair_string(&json, "for", standing_what(row));
		json_pair_uint(&json, "user", row->user);
		json_pair_string(&json, "service", *row->service ? row->service : NULL);
		if (row->pid)
			json_pair_int(&json, "pid", row->pid);
		else
			json_pair_null(&json, "pid");
		json_pair_string(&json, "mode", row->mode);
		json_pair_double(&json, "since", (double)row->since_ns / 1e9);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_finish(&json);
}

static void standing_since_cell(struct table *table, int64_t since_ns)
{
	time_t seconds = (time_t)(since_ns / SECOND);
	double age = difftime(time(NULL), seconds);
	char date[64] = "?", text[64];
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &tm);
	if (age < 1)
		table_cellf(table, "%s (just now)", date);
	else
		table_cellf(table, "%s (%s ago)", date, text_duration(text, sizeof text, age));
}

static void standing_print(const struct standing_rows *rows)
{
	static const struct column columns[] = {
		{ "FOR", 0, 0 }, { "USER", 1, 0 }, { "MODE", 0, 0 }, { "SINCE", 0, 0 }
	};
	const struct standing_row *row;
	struct table table;

	table_start(&table, columns, sizeof columns / sizeof *columns);
	for (row = rows->list; row < rows->list + rows->n; row++) {
		if (row->pid)
			table_cellf(&table, "process %d", row->pid);
		else if (*row->service)
			table_cellf(&table, "service %s", row->service);
		else
			table_cell(&table, "all");
		table_cellf(&table, "%u", row->user);
		table_cell(&table, row->mode);
		standing_since_cell(&table, row->since_ns);
	}
	table_print(&table, stdout, 1);
}

int standing_list(const struct rings_choice *choice, bool json)
{
	struct standing_rows rows = { .exit = EXIT_FINE };
	char *where;

	rings_dirs(choice, standing_add_dir, &rows, NULL);
	rings_each(choice, standing_add_process, &rows, &where);
	standing_drop_defaults(&rows);
	if (rows.n)
		qsort(rows.list, rows.n, sizeof *rows.list, standing_compare);
	if (json)
		standing_print_json(&rows);
	else if (rows.n)
		standing_print(&rows);
	else
		printf("nothing is set in %s: each process has the mode of its settings\n", where);
	free(rows.list);
	free(where);
	return rows.exit;
}

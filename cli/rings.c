/* SPDX-License-Identifier: MIT */
#include "cli/rings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/memory.h"
#include "cli/text.h"
#include "ring/retired.h"

#define PREFIX	    "gcpreload-"
#define HIGHEST_UID 4294967294ll

int rings_option(struct rings_choice *choice, int c, const char **why)
{
	extern char *optarg;
	long long uid;

	switch (c) {
	case 'd':
		choice->dir = optarg;
		if (*optarg)
			return 1;
		*why = "the directory's name is empty";
		return -1;
	case 'u':
		choice->user = optarg;
		if (text_number(optarg, 0, HIGHEST_UID, &uid) == 0)
			return 1;
		*why = "not a numeric user id (id -u NAME prints it)";
		return -1;
	case 'U':
		choice->all_users = true;
		return 1;
	default:
		return 0;
	}
}

/* What to do about errno. */
static const char *advice(void)
{
	if (errno == EACCES || errno == EPERM)
		return "ask as its user or as root";
	if (errno == EMFILE || errno == ENFILE)
		return "raise the limit of open files (ulimit -n)";
	return "it should be a directory of its user";
}

static const char *base_of(const struct rings_choice *choice)
{
	const char *dir = choice->dir ? choice->dir : getenv("GCPRELOAD_DIR");

	return dir && *dir ? dir : "/dev/shm";
}

static bool is_ours(const char *name)
{
	long long uid;

	return strncmp(name, PREFIX, sizeof PREFIX - 1) == 0 &&
	       text_number(name + sizeof PREFIX - 1, 0, HIGHEST_UID, &uid) == 0;
}

/* Returns 1 when the directory was there. */
static int visit_dir(int base, const char *base_path, const char *name, rings_dir_visit *visit,
		     void *arg)
{
	struct rings_dir dir = { .fd = -1 };
	struct stat st;

	dir.fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir.fd < 0 && errno == ENOENT)
		return 0;
	dir.path = strcmp(name, ".") == 0 ? need(strdup(base_path))
					  : format_text("%s/%s", base_path, name);
	if (dir.fd < 0) {
		complain("%s: cannot be looked at: %s; %s", dir.path, strerror(errno), advice());
		free(dir.path);
		return 0;
	}
	if (fstat(dir.fd, &st) == 0) {
		dir.owner = st.st_uid;
		if (is_ours(name))
			dir.foreign = strtoul(name + sizeof PREFIX - 1, NULL, 10) != st.st_uid;
	}
	if (dir.foreign)
		complain("%s: belongs to user %u, and not to the one in its name: do not trust "
			 "what it says; remove it if you did not make it",
			 dir.path, dir.owner);
	visit(arg, &dir);
	close(dir.fd);
	free(dir.path);
	return 1;
}

static int visit_all_users(int base, const char *path, rings_dir_visit *visit, void *arg)
{
	int n = 0, copy = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!list) {
		complain("%s: cannot be listed: %s; %s", path, strerror(errno), advice());
		if (copy >= 0)
			close(copy);
		return 0;
	}
	while ((entry = readdir(list)))
		if (is_ours(entry->d_name))
			n += visit_dir(base, path, entry->d_name, visit, arg);
	closedir(list);
	return n;
}

/* --dir may name the directory of a user itself: a copy of it, say, or a
 * mounted one. */
static bool is_rings_dir(const char *path)
{
	char name[64];
	const char *begin, *end = path + strlen(path);

	while (end > path && end[-1] == '/')
		end--;
	for (begin = end; begin > path && begin[-1] != '/'; begin--)
		;
	snprintf(name, sizeof name, "%.*s", (int)(end - begin), begin);
	return is_ours(name);
}

int rings_dirs(const struct rings_choice *choice, rings_dir_visit *visit, void *arg, char **where)
{
	const char *path = base_of(choice);
	char name[sizeof PREFIX + 10];
	int n, base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (choice->user)
		snprintf(name, sizeof name, PREFIX "%.10s", choice->user);
	else
		snprintf(name, sizeof name, PREFIX "%u", (unsigned)geteuid());
	if (where)
		*where = choice->all_users ? format_text("%s/" PREFIX "*", path)
					   : format_text("%s/%s", path, name);
	if (base < 0) {
		complain("%s: cannot be opened: %s; give another directory with --dir", path,
			 strerror(errno));
		return 0;
	}
	if (choice->all_users)
		n = visit_all_users(base, path, visit, arg);
	else
		n = visit_dir(base, path, name, visit, arg);
	if (!n && choice->dir && !choice->user && is_rings_dir(path))
		n = visit_dir(base, path, ".", visit, arg);
	close(base);
	return n;
}

struct each {
	rings_visit *visit;
	void *arg;
};

static void visit_ring(const struct each *each, const struct rings_dir *dir, const char *name)
{
	struct ring ring = { .dir = dir, .name = name };
	int ret = gcpreload_reader_open(&ring.reader, dir->fd, name, &ring.why);

	if (ret == -ENOENT) /* its process ended, or it was cleaned, since we listed it */
		return;
	if (ret == 0) {
		ring.why = NULL;
		ring.alive = gcpreload_reader_alive(&ring.reader);
	}
	each->visit(each->arg, &ring);
	gcpreload_reader_close(&ring.reader);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

static void visit_files(void *arg, const struct rings_dir *dir)
{
	int copy = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!list) {
		complain("%s: cannot be listed: %s; %s", dir->path, strerror(errno), advice());
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.' && !has_suffix(entry->d_name, ".ctl") &&
		    !gcpreload_retired_name(entry->d_name, false))
			visit_ring(arg, dir, entry->d_name);
	closedir(list);
}

int rings_each(const struct rings_choice *choice, rings_visit *visit, void *arg, char **where)
{
	struct each each = { visit, arg };

	return rings_dirs(choice, visit_files, &each, where);
}

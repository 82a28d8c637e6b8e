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

#include "cli/beneath.h"
#include "cli/containers.h"
#include "cli/memory.h"
#include "cli/text.h"
#include "ring/names.h"
#include "ring/retired.h"
#include "rules/service.h"

#define PREFIX	    "gcpreload-"
#define HIGHEST_UID 4294967294ll
#define MOST_SAID   256 /* names of directories are other people's: remember no more */

int rings_option(struct rings_choice *choice, int c, const char **why)
{
	extern char *optarg;
	long long uid;

	switch (c) {
	case 'd':
		choice->dir = optarg;
		if (*optarg)
			return 1;
		*why = "the directory name is empty";
		return -1;
	case 'u':
		choice->user = optarg;
		if (text_number(optarg, 0, HIGHEST_UID, &uid) == 0)
			return 1;
		*why = "not a numeric user ID; id -u NAME prints it";
		return -1;
	case 'U':
		choice->all_users = true;
		return 1;
	case RINGS_ROOT:
		choice->root = optarg;
		if (*optarg)
			return 1;
		*why = "the directory name is empty";
		return -1;
	case RINGS_CONTAINERS:
		choice->all_containers = true;
		return 1;
	default:
		return 0;
	}
}

void rings_say(const struct rings_choice *choice, char *text)
{
	struct rings_said *said = choice->said;
	size_t i;

	for (i = 0; said && i < said->n; i++)
		if (strcmp(said->texts[i], text) == 0)
			break;
	if (said && (i < said->n || i == MOST_SAID)) {
		free(text);
		return;
	}
	text_complain("%s", text);
	if (said) {
		said->texts =
		    memory_need(realloc(said->texts, (said->n + 1) * sizeof *said->texts));
		said->texts[said->n++] = text;
	} else {
		free(text);
	}
}

/* A directory that should be there, or is and cannot be read. */
static void rings_fail(const struct rings_choice *choice, char *text)
{
	struct rings_trouble *trouble = choice->trouble;

	if (trouble && !trouble->directories++)
		trouble->why = memory_need(strdup(text));
	rings_say(choice, text);
}

void rings_said_copy(struct rings_said *to, const struct rings_said *from)
{
	size_t i;

	to->texts = memory_need(malloc((from->n + 1) * sizeof *to->texts));
	for (i = 0; i < from->n; i++)
		to->texts[i] = memory_need(strdup(from->texts[i]));
	to->n = from->n;
}

void rings_said_free(struct rings_said *said)
{
	while (said->n)
		free(said->texts[--said->n]);
	free(said->texts);
	said->texts = NULL;
}

/* What to do about errno. */
static const char *rings_advice(void)
{
	if (errno == EACCES || errno == EPERM)
		return "run as its owner or as root";
	if (errno == EMFILE || errno == ENFILE)
		return "raise the limit of open files (ulimit -n)";
	return "it must be a directory owned by its user";
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

/* Directories, since one may be seen in several mount namespaces. */
struct rings_visited {
	struct {
		dev_t device;
		ino_t inode;
	} * list;
	size_t n;
};

/* Before; now it is. */
static bool rings_was_visited(struct rings_visited *visited, const struct stat *st)
{
	size_t i;

	if (!visited)
		return false;
	for (i = 0; i < visited->n; i++)
		if (visited->list[i].device == st->st_dev && visited->list[i].inode == st->st_ino)
			return true;
	visited->list =
	    memory_need(realloc(visited->list, (visited->n + 1) * sizeof *visited->list));
	visited->list[visited->n].device = st->st_dev;
	visited->list[visited->n++].inode = st->st_ino;
	return false;
}

/* Returns 1 when the directory was there. */
static int visit_dir(const struct rings_choice *choice, int base, const char *base_path,
		     const char *name, rings_dir_visit *visit, void *arg)
{
	struct rings_dir dir = { .fd = -1, .choice = choice };
	struct stat st;

	dir.fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir.fd < 0 && errno == ENOENT)
		return 0;
	dir.path = strcmp(name, ".") == 0 ? memory_need(strdup(base_path))
					  : format_text("%s/%s", base_path, name);
	if (dir.fd < 0) {
		rings_fail(choice, format_text("%s: cannot be accessed: %s; %s", dir.path,
					       strerror(errno), rings_advice()));
		free(dir.path);
		return 0;
	}
	if (fstat(dir.fd, &st) == 0) {
		if (rings_was_visited(choice->visited, &st)) {
			close(dir.fd);
			free(dir.path);
			return 1;
		}
		dir.owner = st.st_uid;
		/* In a container, users may have other numbers than here. */
		if (is_ours(name) && !choice->root)
			dir.foreign = strtoul(name + sizeof PREFIX - 1, NULL, 10) != st.st_uid;
	}
	if (dir.foreign)
		rings_say(choice,
			  format_text("%s: owned by user %u, not by the user in its name: do not "
				      "trust its contents; remove it if you did not create it",
				      dir.path, dir.owner));
	visit(arg, &dir);
	close(dir.fd);
	free(dir.path);
	return 1;
}

static int visit_all_users(const struct rings_choice *choice, int base, const char *path,
			   rings_dir_visit *visit, void *arg)
{
	int n = 0, copy = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!list) {
		rings_fail(choice, format_text("%s: cannot be listed: %s; %s", path,
					       strerror(errno), rings_advice()));
		if (copy >= 0)
			close(copy);
		return 0;
	}
	while ((entry = readdir(list)))
		if (is_ours(entry->d_name))
			n += visit_dir(choice, base, path, entry->d_name, visit, arg);
	closedir(list);
	return n;
}

/* --dir may name the directory of a user itself: a copy of it, say, or a mounted one. */
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

/* Where the user's directories are. Its path, to be freed, in *path, also when it is not there. */
static int open_base(const struct rings_choice *choice, char **path)
{
	const char *dir = base_of(choice);
	int root, fd, saved_errno;

	if (!choice->root) {
		*path = memory_need(strdup(dir));
		return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	*path = format_text("%s/%s", choice->root, dir + strspn(dir, "/"));
	root = open(choice->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	fd = beneath_open(root, dir);
	saved_errno = errno;
	close(root);
	errno = saved_errno;
	return fd;
}

static void rings_name_of(const struct rings_choice *choice, char name[sizeof PREFIX + 10])
{
	if (choice->user)
		snprintf(name, sizeof PREFIX + 10, PREFIX "%.10s", choice->user);
	else
		snprintf(name, sizeof PREFIX + 10, PREFIX "%u", (unsigned)geteuid());
}

/* Below a base that is open, and closed here. */
static int visit_base(const struct rings_choice *choice, int base, const char *path,
		      rings_dir_visit *visit, void *arg)
{
	char name[sizeof PREFIX + 10];
	int n;

	rings_name_of(choice, name);
	if (choice->all_users)
		n = visit_all_users(choice, base, path, visit, arg);
	else
		n = visit_dir(choice, base, path, name, visit, arg);
	if (!n && choice->dir && !choice->user && is_rings_dir(path))
		n = visit_dir(choice, base, path, ".", visit, arg);
	close(base);
	return n;
}

/* ---- containers ---- */

struct in_containers {
	struct rings_choice choice; /* of each */
	rings_dir_visit *visit;
	void *arg;
	int n;
};

/* Most have nothing of ours, which is no mistake. */
static void visit_container(void *arg, int root, const char *root_path)
{
	struct in_containers *in = arg;
	const char *dir = base_of(&in->choice);
	int base = beneath_open(root, dir);
	char *path;

	if (base < 0)
		return;
	path = format_text("%s/%s", root_path, dir + strspn(dir, "/"));
	in->choice.root = root_path;
	in->n += visit_base(&in->choice, base, path, in->visit, in->arg);
	free(path);
}

static int visit_containers(const struct rings_choice *choice, rings_dir_visit *visit, void *arg)
{
	struct rings_visited visited = { .n = 0 };
	struct in_containers in = { *choice, visit, arg, 0 };
	unsigned refused;

	in.choice.visited = &visited;
	in.choice.all_users = !choice->user;
	refused = containers_each(visit_container, &in);
	if (refused && geteuid() != 0)
		rings_say(choice,
			  format_text("--all-containers: processes of other users cannot be "
				      "looked at; run as root"));
	free(visited.list);
	return in.n;
}

int rings_dirs(const struct rings_choice *choice, rings_dir_visit *visit, void *arg, char **where)
{
	char name[sizeof PREFIX + 10], *path;
	int n = 0, base;

	if (choice->all_containers) {
		if (where)
			*where = format_text("%s/" PREFIX "* of each container", base_of(choice));
		return visit_containers(choice, visit, arg);
	}
	base = open_base(choice, &path);
	rings_name_of(choice, name);
	if (base >= 0)
		n = visit_base(choice, base, path, visit, arg);
	else
		rings_fail(choice,
			   format_text("%s: cannot be opened: %s; choose another directory with %s",
				       path, strerror(errno),
				       choice->root ? "--dir, or another --root" : "--dir"));
	if (where)
		*where = choice->all_users ? format_text("%s/" PREFIX "*", path)
					   : format_text("%s/%s", path, name);
	free(path);
	return n;
}

struct each {
	rings_visit *visit;
	void *arg;
};

/* One of before 1.3 may have none; it has all that a name is made of. */
static void name_service(struct gcpreload_header *h)
{
	const struct service_facts facts = { .command = h->command,
					     .cgroup = h->cgroup,
					     .hostname = h->hostname };

	if (*h->service_name)
		return;
	h->service.from = service_name(&facts, h->service_name);
	h->service.program = service_program(h->command);
}

static void visit_ring(void *arg, const struct rings_dir *dir, const struct dirent *entry)
{
	const struct each *each = arg;
	struct ring ring = { .dir = dir, .name = entry->d_name };
	int ret = gcpreload_reader_open(&ring.reader, dir->fd, ring.name, &ring.why);

	if (ret == -ENOENT) /* its process ended, or it was cleaned, since we listed it */
		return;
	if (ret == 0) {
		ring.why = NULL;
		ring.alive = gcpreload_reader_alive(&ring.reader);
		name_service(&ring.reader.header);
	}
	each->visit(each->arg, &ring);
	gcpreload_reader_close(&ring.reader);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

bool rings_names(const struct rings_dir *dir, rings_name_visit *visit, void *arg)
{
	int copy = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!list) {
		rings_fail(dir->choice, format_text("%s: cannot be listed: %s; %s", dir->path,
						    strerror(errno), rings_advice()));
		if (copy >= 0)
			close(copy);
		return false;
	}
	while ((entry = readdir(list)))
		if (entry->d_name[0] != '.' && !has_suffix(entry->d_name, ".ctl") &&
		    !gcpreload_retired_name(entry->d_name, false))
			visit(arg, dir, entry);
	closedir(list);
	return true;
}

static void visit_files(void *arg, const struct rings_dir *dir)
{
	rings_names(dir, visit_ring, arg);
}

int rings_each(const struct rings_choice *choice, rings_visit *visit, void *arg, char **where)
{
	struct each each = { visit, arg };

	return rings_dirs(choice, visit_files, &each, where);
}

/* ---- what is left out ---- */

#define OTHERS_NAMED 8

struct others {
	char *shown, *unreadable; /* lists for people */
	size_t n_shown, n_unreadable;
};

static void count_living(void *arg, const struct rings_dir *dir, const struct dirent *entry)
{
	struct gcpreload_reader reader;
	const char *why;
	size_t *n = arg;

	if (gcpreload_reader_open(&reader, dir->fd, entry->d_name, &why) < 0)
		return;
	*n += gcpreload_reader_alive(&reader);
	gcpreload_reader_close(&reader);
}

static void add_name(char **list, size_t *n, char *name)
{
	char *longer;

	if ((*n)++ < OTHERS_NAMED) {
		longer = format_text("%s%s%s", *list ? *list : "", *list ? ", " : "", name);
		free(*list);
		*list = longer;
	}
	free(name);
}

static void look_at_other(struct others *others, int base, const char *name)
{
	struct rings_dir dir = { .path = (char *)name };
	size_t n = 0;

	dir.fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir.fd < 0) {
		if (errno == EACCES || errno == EPERM)
			add_name(&others->unreadable, &others->n_unreadable,
				 format_text("%s", name));
		return;
	}
	dir.choice = &(const struct rings_choice){ 0 };
	rings_names(&dir, count_living, &n);
	close(dir.fd);
	if (n)
		add_name(&others->shown, &others->n_shown,
			 format_text("%s (%zu process%s)", name, n, n == 1 ? "" : "es"));
}

static const char *and_more(char *text, size_t size, size_t n)
{
	*text = '\0';
	if (n > OTHERS_NAMED)
		snprintf(text, size, " and %zu more", n - OTHERS_NAMED);
	return text;
}

static void say_list(const struct rings_choice *choice, const char *path,
		     const struct others *others)
{
	char more[40];

	if (others->shown)
		rings_say(
		    choice,
		    format_text("%s: measurements of other users are not shown: %s%s; add --user "
				"UID or --all-users",
				path, others->shown, and_more(more, sizeof more, others->n_shown)));
	if (others->unreadable)
		rings_say(
		    choice,
		    format_text("%s: measurements of other users cannot be read: %s%s; run as root",
				path, others->unreadable,
				and_more(more, sizeof more, others->n_unreadable)));
}

void rings_say_others(const struct rings_choice *choice)
{
	char own[sizeof PREFIX + 10], *path = NULL;
	struct others others = { 0 };
	struct dirent *entry;
	DIR *list;
	int base;

	if (choice->user || choice->all_users || choice->all_containers)
		return;
	base = open_base(choice, &path);
	list = base < 0 ? NULL : fdopendir(base);
	if (!list && base >= 0)
		close(base);
	snprintf(own, sizeof own, PREFIX "%u", (unsigned)geteuid());
	while (list && (entry = readdir(list)))
		if (is_ours(entry->d_name) && strcmp(entry->d_name, own) != 0)
			look_at_other(&others, dirfd(list), entry->d_name);
	if (list)
		closedir(list);
	say_list(choice, path, &others);
	free(others.shown);
	free(others.unreadable);
	free(path);
}

/* SPDX-License-Identifier: MIT */
/* Goes through the rings of a user: which directories, which files in them. */
#ifndef GCPRELOAD_CLI_RINGS_H
#define GCPRELOAD_CLI_RINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "ring/reader.h"

struct dirent;

/* What was complained of, so that a program that looks again and again says it once. */
struct rings_said {
	char **texts;
	size_t n;
};

/* What could not be read in a look: the caller counts, and forgets. */
struct rings_trouble {
	size_t directories;
	char *why; /* of the first; NULL: of none */
};

struct rings_visited;

/* Whose rings; all zero: one's own, in the default directory. */
struct rings_choice {
	const char *root; /* where dir is looked for: of another process; no link is followed */
	const char *dir;  /* --dir, else GCPRELOAD_DIR, else /dev/shm */
	const char *user; /* --user: a numeric user id */
	bool all_users;
	bool all_containers;	 /* each running process's root; looked for anew in each look */
	struct rings_said *said; /* NULL: say everything each time */
	struct rings_trouble *trouble; /* NULL: nobody counts */
	struct rings_visited *visited; /* rings.c's own */
};

enum { RINGS_ROOT = 512, RINGS_CONTAINERS }; /* beyond the commands' own options */

#define RINGS_SHORTS "d:u:"
#define RINGS_OPTIONS                                                                              \
	{ "dir", required_argument, NULL, 'd' }, { "user", required_argument, NULL, 'u' },         \
	    { "all-users", no_argument, NULL, 'U' },                                               \
	    { "root", required_argument, NULL, RINGS_ROOT },                                       \
	{                                                                                          \
		"all-containers", no_argument, NULL, RINGS_CONTAINERS                              \
	}
#define RINGS_HELP                                                                                 \
	"  --dir DIR          look in DIR (default: GCPRELOAD_DIR, or /dev/shm)\n"                 \
	"  --user UID         processes of user UID (default: your own)\n"                         \
	"  --all-users        processes of all users whose measurements are readable\n"            \
	"  --root DIR         look below DIR, the root of a container (/proc/PID/root)\n"          \
	"  --all-containers   look below the root of each running container, and here;\n"          \
	"                     includes --all-users; only root sees them all\n"

/* Takes an option of RINGS_OPTIONS. Returns 1, 0 for another option, -1 for a bad value (then
 * *why is a static text). */
int rings_option(struct rings_choice *choice, int c, const char **why);

/* A directory with rings. */
struct rings_dir {
	char *path;
	int fd;
	bool foreign; /* it belongs to another user than its name says: do not write there */
	unsigned owner;
	const struct rings_choice *choice;
};

typedef void rings_dir_visit(void *arg, const struct rings_dir *dir);

/* Calls visit for each directory of the choice that exists. One that exists and cannot be read
 * is said on stderr. Returns how many were visited, and a text for people of where it was
 * looked, to be freed, in *where (where may be NULL). */
int rings_dirs(const struct rings_choice *choice, rings_dir_visit *visit, void *arg, char **where);

typedef void rings_name_visit(void *arg, const struct rings_dir *dir, const struct dirent *entry);

/* Calls visit with the name of each file that is or should be a ring. Returns false when the
 * directory cannot be listed, which is said. */
bool rings_names(const struct rings_dir *dir, rings_name_visit *visit, void *arg);

/* Says which directories of other users are there that the choice leaves out: where processes live,
 * or which may not be read. Nothing where the choice names a user, or all. */
void rings_say_others(const struct rings_choice *choice);

/* Says text, which is freed here, on stderr; once, where the choice remembers what was said. */
void rings_say(const struct rings_choice *choice, char *text);

/* For another thread: what was said so far. */
void rings_said_copy(struct rings_said *to, const struct rings_said *from);

void rings_said_free(struct rings_said *said);

/* One file. */
struct ring {
	const struct rings_dir *dir;
	const char *name;
	const char *why; /* it cannot be read: the reason. NULL: reader is open */
	struct gcpreload_reader reader;
	bool alive;
};

typedef void rings_visit(void *arg, struct ring *ring);

/* Calls visit for each file of each directory that is or should be a ring; the reader is closed
 * after that, unless visit took the descriptor and left -1. Returns as rings_dirs. */
int rings_each(const struct rings_choice *choice, rings_visit *visit, void *arg, char **where);

#endif

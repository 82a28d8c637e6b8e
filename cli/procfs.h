/* SPDX-License-Identifier: MIT */
/* What /proc says of a running process in our own pid namespace. Asked only where a person
 * wants to know of processes that have no ring. */
#ifndef GCPRELOAD_CLI_PROCFS_H
#define GCPRELOAD_CLI_PROCFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rules/command_line.h"

struct procfs {
	pid_t pid;
	pid_t ppid;
	uint32_t uid; /* effective */
	uint64_t start_time;
	char command[256];
	char exe[512];	   /* "" where it may not be read */
	char python[512];  /* the interpreter: libpython's file, or exe; "" without one */
	char library[512]; /* libgcpreload.so as mapped, "" without it */
	char ring[512];	   /* the ring that is mapped, "" without one */
	bool ring_removed; /* one is mapped whose file was removed */
	bool loaded_late;  /* dlopen() loaded the library, or that of its parent */
	bool musl;
	bool maps_read;
};

/* Fills p. Returns 0 or -errno: -ESRCH where there is no such process. */
int procfs_read(struct procfs *p, pid_t pid);

/* Its whole command line, as the library reads it; "" where there is none. */
void procfs_command_line(pid_t pid, char line[COMMAND_LINE_MAX]);

/* Whether system calls of it are filtered (seccomp); 0: ourselves. */
bool procfs_filtered(pid_t pid);

/* A variable of the environment it was started with. Returns 1 with its value, 0 where it is
 * not set, -errno. */
int procfs_environment(pid_t pid, const char *name, char *value, size_t size);

/* All of them, NULL behind the last; to be freed. Returns 0 or -errno. */
int procfs_whole_environment(pid_t pid, char ***environment);
void procfs_free_environment(char **environment);

/* small_file_read() of a file as another process sees it. */
ssize_t procfs_slurp_as_seen(pid_t pid, const char *path, char *text, size_t size);

typedef void procfs_visit(void *arg, const struct procfs *p);

/* Calls visit for each running Python that has the library and no ring, of one user or, with
 * all_users, of all that may be looked at. */
void procfs_without_ring(uint32_t uid, bool all_users, procfs_visit *visit, void *arg);

#endif

/* SPDX-License-Identifier: MIT */
/* A running process that something is to be loaded into, and whether that would work. Nothing is
 * stopped or changed here: all is read from /proc, its files and its memory. */
#ifndef GCPRELOAD_CLI_ATTACH_TARGET_H
#define GCPRELOAD_CLI_ATTACH_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/procfs.h"
#include "cli/target_maps.h"

/* CPython 3.x. */
#define ATTACH_FIRST 7
#define ATTACH_LAST  14

struct attach_target {
	pid_t pid;
	pid_t inner_pid; /* as it sees itself */
	struct procfs process;
	struct target_maps maps;
	bool other_root; /* its files are not ours: a container */

	char python[4096]; /* the file that has the interpreter */
	int minor;	   /* of CPython 3.x */
	uint64_t runtime, add_pending_call, run_string, eval, eval_size;

	uint64_t restorer;    /* libc's return from a signal handler */
	uint64_t system_call; /* "syscall; ret" in libc */

	char library[4096]; /* as it would load it; what is loaded already, if so */
	bool loaded;
};

/* Looks at the process. library: a path as the process sees it, or NULL for this command's own.
 * Returns NULL where it may be attached to, else why not: "WHAT: WHY; what to do", to be freed. In
 * both cases attach_target_free. */
char *attach_target_read(struct attach_target *t, pid_t pid, const char *library, bool detach);

void attach_target_free(struct attach_target *t);

/* A new look at what may have changed while it ran: whether it is traced, stopped, or at its end.
 * As above. */
char *attach_target_check(const struct attach_target *t);

/* Why the kernel does not let us, in words; to be freed. */
char *attach_target_forbidden(const struct attach_target *t);

#endif

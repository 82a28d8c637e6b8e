/* SPDX-License-Identifier: MIT */
#include "cli/attach_python.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/elf_symbols.h"
#include "cli/memory.h"
#include "cli/text.h"

enum wanted {
	RUNTIME,
	ADD_PENDING_CALL,
	RUN_STRING,
	EVAL,
	VERSION, /* from 3.11 */
	FREE_THREADED,
	NEW_IN_8, /* what an older one lacks */
	NEW_IN_9,
	NEW_IN_10,
	WANTED
};

static const char *const wanted_names[WANTED] = {
	[RUNTIME] = "_PyRuntime",
	[ADD_PENDING_CALL] = "Py_AddPendingCall",
	[RUN_STRING] = "PyRun_SimpleString",
	[EVAL] = "_PyEval_EvalFrameDefault",
	[VERSION] = "Py_Version",
	[FREE_THREADED] = "_Py_MergeZeroLocalRefcount",
	[NEW_IN_8] = "PyCode_NewWithPosOnlyArgs",
	[NEW_IN_9] = "PyFrame_GetCode",
	[NEW_IN_10] = "PyModule_AddObjectRef",
};

/* In _PyRuntime; from 3.13 on it says so itself (struct _Py_DebugOffsets). */
static const struct {
	int first, last;
	unsigned initialized, finalizing;
} runtimes[] = {
	{ 7, 7, 0, 8 },
	{ 8, 10, 12, 16 },
	{ 11, 12, 16, 24 },
};

#define DEBUG_COOKIE	    "xdebugpy"
#define DEBUG_FREE_THREADED 16
#define DEBUG_FINALIZING    32
#define DEBUG_INTERPRETERS  40	/* the newest */
#define DEBUG_NEXT	    64	/* of an interpreter; the last is the main one */
#define DEBUG_REMOTE	    728 /* of an interpreter, in 3.14: config.remote_debug */
#define REMOTE_SINCE	    14
#define MOST_INTERPRETERS   4096
#define HEX_FINAL	    0xf0 /* of Py_Version: no alpha, beta or candidate */

static char *python_unknown(const struct attach_target *t, const char *why)
{
	return format_text("%d: %s: %s; start it again with gcpreload run", (int)t->pid, t->python,
			   why);
}

static int python_minor(const struct attach_target *t, const struct elf_symbol *symbols,
			uint64_t base)
{
	unsigned long version;

	if (symbols[VERSION].value) {
		if (target_memory_read(t->pid, base + symbols[VERSION].value, &version,
				       sizeof version) < 0 ||
		    version >> 24 != 3 || (version & HEX_FINAL) != HEX_FINAL)
			return -1;
		return (int)(version >> 16 & 0xff);
	}
	return symbols[NEW_IN_10].value	 ? 10
	       : symbols[NEW_IN_9].value ? 9
	       : symbols[NEW_IN_8].value ? 8
					 : 7;
}

/* Returns whether this file has the interpreter, with *why set where it cannot be used. */
static bool python_in(struct attach_target *t, const struct target_map *map, char **why)
{
	struct elf_symbol symbols[WANTED];
	int fd = target_maps_open(t->pid, map), ret, i;
	uint64_t base, bias;

	snprintf(t->python, sizeof t->python, "%s", map->path);
	if (fd < 0) {
		*why =
		    python_unknown(t, fd == -ESTALE ? "the file was replaced since it was started"
						    : strerror(-fd));
		return false;
	}
	for (i = 0; i < WANTED; i++)
		symbols[i] = (struct elf_symbol){ .name = wanted_names[i] };
	ret = elf_symbols_find(fd, symbols, WANTED, &bias);
	close(fd);
	if (ret < 0 || !symbols[RUNTIME].value)
		return false;
	for (i = RUNTIME; i <= EVAL; i++)
		if (!symbols[i].value) {
			*why = format_text("%d: %s has no symbol %s; start it again with gcpreload "
					   "run",
					   (int)t->pid, t->python, wanted_names[i]);
			return true;
		}
	base = map->start - map->offset - bias;
	t->minor = python_minor(t, symbols, base);
	t->runtime = base + symbols[RUNTIME].value;
	t->add_pending_call = base + symbols[ADD_PENDING_CALL].value;
	t->run_string = base + symbols[RUN_STRING].value;
	t->eval = base + symbols[EVAL].value;
	t->eval_size = symbols[EVAL].size;
	if (symbols[FREE_THREADED].value)
		*why = python_unknown(t, "attach does not support free-threaded builds");
	return true;
}

/* Is CPython 3.7 or later in that file? The first of its mappings stands for it. */
static bool python_may_be_in(const struct attach_target *t, size_t i)
{
	const struct target_map *map = &t->maps.list[i];

	return map->path[0] == '/' && !map->offset &&
	       (strcmp(map->path, t->process.exe) == 0 ||
		text_begins(text_base_name(map->path), "libpython")) &&
	       target_maps_of(&t->maps, map->path) == map;
}

static uint64_t python_word(const struct attach_target *t, uint64_t address)
{
	uint64_t word;

	return target_memory_read(t->pid, address, &word, sizeof word) < 0 ? 0 : word;
}

/* From 3.14 on an interpreter may be told to run nothing from outside (PEP 768). We come another
 * way, and ask all the same. What cannot be read is a no. */
static bool python_forbids(const struct attach_target *t)
{
	uint64_t one = python_word(t, t->runtime + DEBUG_INTERPRETERS), main, next, flag;
	int allowed = 0, i;

	if (t->minor < REMOTE_SINCE)
		return false;
	next = python_word(t, t->runtime + DEBUG_NEXT);
	flag = python_word(t, t->runtime + DEBUG_REMOTE);
	one = python_word(t, t->runtime + one);
	for (main = one, i = 0; one && i < MOST_INTERPRETERS; i++) {
		main = one;
		one = python_word(t, one + next);
	}
	return !main || target_memory_read(t->pid, main + flag, &allowed, sizeof allowed) < 0 ||
	       allowed != 1;
}

char *attach_python_find(struct attach_target *t)
{
	char *why = NULL;
	bool found = false;
	size_t i;

	for (i = 0; i < t->maps.n && !found; i++) {
		if (!python_may_be_in(t, i))
			continue;
		free(why);
		why = NULL;
		found = python_in(t, &t->maps.list[i], &why);
	}
	if (why)
		return why;
	if (!found)
		return format_text("%d: no CPython 3.7 or later is in it; name the process that "
				   "runs Python",
				   (int)t->pid);
	if (t->minor > ATTACH_LAST)
		return format_text("%d: CPython 3.%d: attach supports 3.%d to 3.%d; start it again "
				   "with gcpreload run",
				   (int)t->pid, t->minor, ATTACH_FIRST, ATTACH_LAST);
	if (t->minor < 0 || !t->eval_size)
		return python_unknown(t, "its version cannot be told, or is a preview");
	return python_forbids(t) ? python_unknown(t, "remote debugging is switched off in it "
						     "(PYTHON_DISABLE_REMOTE_DEBUG, -X "
						     "disable-remote-debug), and so is this")
				 : NULL;
}

/* Reads what tells whether it runs. */
static int python_state(const struct attach_target *t, int *initialized, uint64_t *finalizing)
{
	uint64_t offsets[5], at_initialized = 0, at_finalizing = 0;
	size_t i;
	int ret;

	for (i = 0; i < sizeof runtimes / sizeof *runtimes; i++)
		if (t->minor >= runtimes[i].first && t->minor <= runtimes[i].last) {
			at_initialized = runtimes[i].initialized;
			at_finalizing = runtimes[i].finalizing;
		}
	if (!at_finalizing) {
		ret = target_memory_read(t->pid, t->runtime, offsets, sizeof offsets);
		if (ret < 0)
			return ret;
		if (memcmp(offsets, DEBUG_COOKIE, 8) != 0 || offsets[DEBUG_FREE_THREADED / 8])
			return -ENOTSUP;
		at_finalizing = offsets[DEBUG_FINALIZING / 8];
		at_initialized = at_finalizing - 8; /* five int and a hole before it */
	}
	ret = target_memory_read(t->pid, t->runtime + at_initialized, initialized,
				 sizeof *initialized);
	if (ret == 0)
		ret = target_memory_read(t->pid, t->runtime + at_finalizing, finalizing,
					 sizeof *finalizing);
	return ret;
}

char *attach_python_ending(const struct attach_target *t)
{
	uint64_t finalizing = 0;
	int initialized = 0, ret = python_state(t, &initialized, &finalizing);

	if (ret == -ENOTSUP)
		return python_unknown(t, "its state cannot be read");
	if (ret < 0)
		return format_text("%d: has ended", (int)t->pid);
	if (finalizing)
		return format_text("%d: its Python is shutting down", (int)t->pid);
	if (initialized != 1)
		return format_text("%d: its Python is not up yet; try again in a moment",
				   (int)t->pid);
	return NULL;
}

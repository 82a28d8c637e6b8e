/* SPDX-License-Identifier: MIT */
#include "preload/caller.h"

#include <link.h>
#include <stddef.h>
#include <string.h>

#include "inject/inject.h"

struct search {
	const void *address;
	const void *python; /* some code of the interpreter */
	struct caller caller;
	bool has_python;
	bool is_program;
	bool behind_us;
	const char *name;
};

static bool has(const struct dl_phdr_info *object, const void *address, struct caller *caller)
{
	const ElfW(Phdr) * segment;
	uintptr_t at = (uintptr_t)address, low;
	int i;

	for (i = 0; i < object->dlpi_phnum; i++) {
		segment = &object->dlpi_phdr[i];
		low = object->dlpi_addr + segment->p_vaddr;
		if (segment->p_type != PT_LOAD || at < low || at >= low + segment->p_memsz)
			continue;
		if (caller) {
			caller->low = low;
			caller->high = low + segment->p_memsz;
		}
		return true;
	}
	return false;
}

static int look(struct dl_phdr_info *object, size_t size, void *arg)
{
	struct search *search = arg;

	(void)size;
	if (has(object, (const void *)caller_at, NULL))
		search->behind_us = true;
	if (!has(object, search->address, &search->caller))
		return 0;
	search->has_python = search->python && has(object, search->python, NULL);
	/* The first object has no name: it is the program (dl_iterate_phdr(3)). */
	search->is_program = !*object->dlpi_name;
	search->name = object->dlpi_name;
	return 1;
}

static bool begins_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Its library, before we have met it in this process, and the modules that wait. */
static const char *const interpreters[] = { "libpython", "select.", "_socket." };

/* By the path, since such loops are built into extension modules of many names. */
static const char *const loops[] = { "/gevent/",  "/uvloop/", "/libev.so", "/libev-",
				     "/libuv.so", "/libuv-",  "/libuv1.so" };

static enum caller_kind kind_of(const struct search *search)
{
	const char *base = strrchr(search->name, '/');
	size_t i;

	base = base ? base + 1 : search->name;
	if (search->has_python)
		return CALLER_INTERPRETER;
	for (i = 0; i < sizeof interpreters / sizeof *interpreters; i++)
		if (begins_with(base, interpreters[i]))
			return CALLER_INTERPRETER;
	/* What was preloaded in front of us (libfaketime) passes on the calls of whom we cannot
	 * know. */
	if (search->is_program || !search->behind_us || strstr(base, "uwsgi"))
		return CALLER_HOST;
	for (i = 0; i < sizeof loops / sizeof *loops; i++)
		if (strstr(search->name, loops[i]))
			return CALLER_LOOP;
	return CALLER_LIBRARY;
}

struct caller caller_at(const void *address)
{
	struct search search = { .address = address, .python = gcpreload_inject_code() };

	if (!dl_iterate_phdr(look, &search))
		return (struct caller){ .kind = CALLER_LIBRARY };
	search.caller.kind = kind_of(&search);
	return search.caller;
}

bool caller_is_same(struct caller *caller, const void *address)
{
	struct caller now;

	if (caller_is_at(caller, address))
		return true;
	if (caller->kind != CALLER_INTERPRETER)
		return false;
	now = caller_at(address);
	if (now.kind != CALLER_INTERPRETER)
		return false;
	*caller = now;
	return true;
}

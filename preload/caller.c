/* SPDX-License-Identifier: MIT */
#include "preload/caller.h"

#include <errno.h>
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/maps.h"
#include "base/shared.h"
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

static bool caller_object_has(const struct dl_phdr_info *object, const void *address,
			      struct caller *caller)
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

static int caller_look_up(struct dl_phdr_info *object, size_t size, void *arg)
{
	struct search *search = arg;

	(void)size;
	if (caller_object_has(object, (const void *)caller_at, NULL))
		search->behind_us = true;
	if (!caller_object_has(object, search->address, &search->caller))
		return 0;
	search->has_python = search->python && caller_object_has(object, search->python, NULL);
	/* The first object has no name: it is the program (dl_iterate_phdr(3)). */
	search->is_program = !*object->dlpi_name;
	search->name = object->dlpi_name;
	return 1;
}

static bool caller_name_begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Its library, before we have met it in this process, and the modules that wait. */
static const char *const interpreters[] = { "libpython", "select.", "_socket." };

/* By the path, since such loops are built into extension modules of many names. */
static const char *const loops[] = { "/gevent/",  "/uvloop/", "/libev.so", "/libev-",
				     "/libuv.so", "/libuv-",  "/libuv1.so" };

static enum caller_kind caller_kind_of(const struct search *search)
{
	const char *base = strrchr(search->name, '/');
	size_t i;

	base = base ? base + 1 : search->name;
	if (search->has_python)
		return CALLER_INTERPRETER;
	for (i = 0; i < sizeof interpreters / sizeof *interpreters; i++)
		if (caller_name_begins(base, interpreters[i]))
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

/* Written where a child begins, before it looks at anything; read by its threads. */
static bool locks_may_be_held;

void caller_forked(bool alone)
{
	if (!alone)
		store_relaxed(&locks_may_be_held, true);
}

/* What address lies in; the name is in text. */
static bool caller_look_in_maps(const void *address, struct search *search, char *text, size_t size)
{
	struct maps_place place;

	if (!maps_find(address, &place, text, size))
		return false;
	search->name = place.name;
	search->caller.low = place.low;
	search->caller.high = place.high;
	return true;
}

static struct caller caller_by_maps(const void *address)
{
	struct search search = { .behind_us = true }, python = { .name = "" };
	char text[2048], other[2048], program[1024];
	const char *code = gcpreload_inject_code();
	ssize_t n;

	if (!caller_look_in_maps(address, &search, text, sizeof text))
		return (struct caller){ .kind = CALLER_LIBRARY };
	search.has_python = code && caller_look_in_maps(code, &python, other, sizeof other) &&
			    strcmp(python.name, search.name) == 0;
	n = readlink("/proc/self/exe", program, sizeof program - 1);
	program[n > 0 ? n : 0] = '\0';
	search.is_program = n > 0 && strcmp(program, search.name) == 0;
	search.caller.kind = caller_kind_of(&search);
	return search.caller;
}

struct caller caller_at(const void *address)
{
	struct search search = { .address = address, .python = gcpreload_inject_code() };
	int saved_errno = errno;
	struct caller caller;

	if (load_relaxed(&locks_may_be_held)) {
		caller = caller_by_maps(address);
		errno = saved_errno;
		return caller;
	}
	if (!dl_iterate_phdr(caller_look_up, &search))
		return (struct caller){ .kind = CALLER_LIBRARY };
	search.caller.kind = caller_kind_of(&search);
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

/* SPDX-License-Identifier: MIT */
#include "engine/census.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/layout.h"
#include "engine/process.h"
#include "inject/module.h"
#include "inject/plain.h"
#include "rules/recipe.h"

#define CENSUS_NS   20000000ull /* the pause becomes so much longer, at most */
#define BETWEEN	    4096	/* objects, between two looks at the clock */
#define CENSUS_SIZE 1024	/* types that are told apart; a power of two */
#define CENSUS_TOP  10

struct census_type {
	PyObject *type; /* borrowed: its objects are there */
	uint64_t count;
};

/* One at a time: under the GIL. */
static struct {
	struct census_type types[CENSUS_SIZE];
	uint64_t objects;
	unsigned used;
	bool whole;
} census;

/* The place of a type; NULL: there is no more room. */
static struct census_type *census_place(PyObject *type)
{
	uint64_t at = (uint64_t)(uintptr_t)type * 0x9e3779b97f4a7c15ull >> 32;

	for (;; at++) {
		struct census_type *place = &census.types[at % CENSUS_SIZE];

		if (place->type == type)
			return place;
		if (place->type)
			continue;
		if (census.used == CENSUS_SIZE / 4 * 3)
			return NULL;
		census.used++;
		place->type = type;
		return place;
	}
}

static void census_count(const struct graph_head *list)
{
	const struct graph_head *head = layout_next(list);
	const uint64_t ends = gcpreload_now_ns() + CENSUS_NS;
	struct census_type *place = NULL;
	PyObject *type;

	memset(&census, 0, sizeof census);
	for (; head != list; head = layout_next(head)) {
		if (census.objects % BETWEEN == BETWEEN - 1 && gcpreload_now_ns() > ends)
			return;
		census.objects++;
		type = *(PyObject *const *)((const char *)(head + 1) + GRAPH_TYPE);
		/* The same type comes many times in a row. */
		if (!place || place->type != type)
			place = census_place(type);
		if (place)
			place->count++;
	}
	census.whole = true;
}

/* Moves the most frequent ones to the beginning of the table, which is no table any more. */
static unsigned census_sort(void)
{
	unsigned n, i, most;

	for (n = 0; n < CENSUS_TOP; n++) {
		struct census_type first = census.types[n];

		for (most = n, i = n + 1; i < CENSUS_SIZE; i++)
			if (census.types[i].count > census.types[most].count)
				most = i;
		if (!census.types[most].count)
			break;
		census.types[n] = census.types[most];
		census.types[most] = first;
	}
	return n;
}

/* "module.name", for built-in types the name alone. */
static void census_name(PyObject *type, char *into, size_t size)
{
	PyObject *name = plain_attribute(type, "__qualname__");
	PyObject *module = plain_attribute(type, "__module__");
	const char *a = module ? py.PyUnicode_AsUTF8AndSize(module, NULL) : NULL, *b;

	py.PyErr_Clear();
	b = name ? py.PyUnicode_AsUTF8AndSize(name, NULL) : NULL;
	if (!a || strcmp(a, "builtins") == 0)
		snprintf(into, size, "%s", b ? b : "?");
	else
		snprintf(into, size, "%s.%s", a, b ? b : "?");
	py_drop(module);
	py_drop(name);
}

/* "list 300000, dict 2000". Returns the number of objects that are in it. */
static uint64_t census_types(char *into, size_t size)
{
	unsigned n = census_sort(), i;
	uint64_t told = 0;
	size_t used = 0;
	char name[64];

	for (i = 0; i < n && used < size; i++) {
		census_name(census.types[i].type, name, sizeof name);
		used += (size_t)snprintf(into + used, size - used, "%s%s %" PRIu64, i ? ", " : "",
					 name, census.types[i].count);
		told += census.types[i].count;
	}
	return told;
}

static void census_say(void)
{
	char types[CENSUS_TOP * 88] = "", objects[24];
	const uint64_t others = census.objects - census_types(types, sizeof types);
	const struct gcpreload_log_field fields[] = {
		{ "census_objects", objects, true },
		{ "census_whole", census.whole ? "true" : "false", true },
		{ "census_types", types, false },
	};

	snprintf(objects, sizeof objects, "%" PRIu64, census.objects);
	gcpreload_log_record(GCPRELOAD_LOG_WARNING, fields, sizeof fields / sizeof *fields,
			     "census of generation 2 after it: %s%s objects%s: %s; others %" PRIu64,
			     census.whole ? "" : "the first ", objects,
			     census.whole ? "" : ", then its time was over", types, others);
}

static void census_cannot(void)
{
	static bool said;

	if (!said)
		gcpreload_log(GCPRELOAD_LOG_WARNING,
			      "GCPRELOAD_SLOW_CENSUS: not on this Python, whose lists of objects "
			      "are not known");
	said = true;
}

void census_take(const struct gcpreload_event *event)
{
	PyObject *gc, *type, *value, *traceback;
	const struct graph_head *list = NULL;

	/* A young one leaves what it kept among older objects. */
	if (!settings->slow_census || event->generation != GCPRELOAD_GENERATIONS - 1 ||
	    event->cause == GCPRELOAD_CAUSE_FINAL)
		return;
	py.PyErr_Fetch(&type, &value, &traceback);
	gc = module_gc();
	if (gc && plain_possible() && !recipe_no_marks(&python_version))
		list = layout_oldest(gc);
	if (list) {
		census_count(list);
		census_say();
	} else {
		census_cannot();
	}
	py_drop(gc);
	py.PyErr_Restore(type, value, traceback);
}

/* SPDX-License-Identifier: MIT */
#include "inject/slow.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "inject/module.h"
#include "ring/reader.h"

uint64_t slow_from_ns;

int64_t slow_count(void)
{
	PyObject *gc = module_gc(), *tuple = NULL;
	int n[GCPRELOAD_GENERATIONS];
	int64_t count = -1;

	if (gc && py_in_main_interpreter())
		tuple = py_call(gc, "get_count", NULL);
	if (tuple && py.PyArg_ParseTuple(tuple, "iii", &n[0], &n[1], &n[2]))
		count = n[0];
	py_drop(tuple);
	py_drop(gc);
	return count;
}

/* An attribute's text, cut; "?" where it has none. */
static void text_of(PyObject *object, const char *attribute, char *into, size_t size)
{
	PyObject *value = object ? py_attribute(object, attribute) : NULL;
	const char *text = value ? py.PyUnicode_AsUTF8AndSize(value, NULL) : NULL;

	snprintf(into, size, "%s", text ? text : "?");
	py_drop(value);
}

/* What a line has to say, as texts; "": nothing. */
struct slow_line {
	char generation[4], milliseconds[24], collected[24], objects[24], thread[24];
	char file[256], function[128], number[24];
	char trace_id[GCPRELOAD_TRACE_ID_TEXT], span_id[GCPRELOAD_SPAN_ID_TEXT];
};

/* Where no Python runs, there is none. */
static void slow_place(struct slow_line *line)
{
	PyObject *frame = py.PyEval_GetFrame(), *code, *number;

	if (!frame) {
		py.PyErr_Clear();
		return;
	}
	code = py_attribute(frame, "f_code");
	text_of(code, "co_filename", line->file, sizeof line->file);
	text_of(code, "co_name", line->function, sizeof line->function);
	py_drop(code);
	number = py_attribute(frame, "f_lineno");
	snprintf(line->number, sizeof line->number, "%ld", number ? py.PyLong_AsLong(number) : -1);
	py_drop(number);
}

#define SLOW_TEXT(text, ...) snprintf(text, sizeof(text), __VA_ARGS__)

static void slow_fill(struct slow_line *line, const struct gcpreload_event *event, int64_t count)
{
	unsigned long long tenths;

	slow_place(line);
	SLOW_TEXT(line->generation, "%u", (unsigned)event->generation);
	/* Not by %f: the program's locale may have a comma there. */
	tenths = (event->duration_ns + 50000) / 100000;
	SLOW_TEXT(line->milliseconds, "%llu.%llu", tenths / 10, tenths % 10);
	SLOW_TEXT(line->collected, "%llu", (unsigned long long)event->collected);
	SLOW_TEXT(line->thread, "%ld", syscall(SYS_gettid));
	if (count >= 0)
		SLOW_TEXT(line->objects, "%lld", (long long)count);
	if (event->hit)
		gcpreload_span_text(&event->hit->span, line->trace_id, line->span_id);
}

/* A text, or NULL where it is empty. */
static const char *slow_or_null(const char *text)
{
	return *text ? text : NULL;
}

static void slow_write(const struct slow_line *line, const char *cause)
{
	const struct gcpreload_log_field fields[] = {
		{ "generation", line->generation, true },
		{ "duration_ms", line->milliseconds, true },
		{ "cause", cause, false },
		{ "collected", line->collected, true },
		{ "new_objects", slow_or_null(line->objects), true },
		{ "thread", line->thread, true },
		{ "trace_id", slow_or_null(line->trace_id), false },
		{ "span_id", slow_or_null(line->span_id), false },
		{ "file", slow_or_null(line->file), false },
		{ "line", slow_or_null(line->number), true },
		{ "function", slow_or_null(line->function), false },
	};
	char objects[64] = "", span[80] = "", place[512] = "";

	if (*line->objects)
		SLOW_TEXT(objects, ", %s new objects before", line->objects);
	if (*line->trace_id)
		SLOW_TEXT(span, ", trace %s, span %s", line->trace_id, line->span_id);
	if (*line->file)
		SLOW_TEXT(place, ", at %s:%s in %s", line->file, line->number, line->function);
	gcpreload_log_record(GCPRELOAD_LOG_WARNING, fields, sizeof fields / sizeof *fields,
			     "slow collection: generation %s, %s ms, %s, %s collected%s, thread "
			     "%s%s%s",
			     line->generation, line->milliseconds, cause, line->collected, objects,
			     line->thread, span, place);
}

void slow_say(const struct gcpreload_event *event, int64_t count)
{
	struct slow_line line = { .file = "" };

	slow_fill(&line, event, count);
	slow_write(&line, gcpreload_cause_name(event->cause));
}

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
		tuple = py.PyObject_CallMethod(gc, "get_count", NULL);
	if (tuple && py.PyArg_ParseTuple(tuple, "iii", &n[0], &n[1], &n[2]))
		count = n[0];
	py_drop(tuple);
	py_drop(gc);
	return count;
}

/* An attribute's text, cut; "?" where it has none. */
static void text_of(PyObject *object, const char *attribute, char *into, size_t size)
{
	PyObject *value = object ? py.PyObject_GetAttrString(object, attribute) : NULL;
	const char *text = value ? py.PyUnicode_AsUTF8AndSize(value, NULL) : NULL;

	snprintf(into, size, "%s", text ? text : "?");
	py_drop(value);
}

/* "file:line in function", or nothing where no Python runs. */
static void place_of_frame(char *into, size_t size)
{
	PyObject *frame = py.PyEval_GetFrame(), *code, *line;
	char file[256], function[128];
	long number = -1;

	*into = '\0';
	if (!frame) {
		py.PyErr_Clear();
		return;
	}
	code = py.PyObject_GetAttrString(frame, "f_code");
	text_of(code, "co_filename", file, sizeof file);
	text_of(code, "co_name", function, sizeof function);
	py_drop(code);
	line = py.PyObject_GetAttrString(frame, "f_lineno");
	if (line)
		number = py.PyLong_AsLong(line);
	py_drop(line);
	snprintf(into, size, ", at %s:%ld in %s", file, number, function);
}

static void span_say(const struct gcpreload_hit *hit, char *into, size_t size)
{
	char trace_id[GCPRELOAD_TRACE_ID_TEXT], span_id[GCPRELOAD_SPAN_ID_TEXT];

	gcpreload_span_text(&hit->span, trace_id, span_id);
	snprintf(into, size, ", trace %s, span %s", trace_id, span_id);
}

void slow_say(const struct gcpreload_event *event, int64_t count)
{
	char place[512], objects[64] = "", span[80] = "";

	place_of_frame(place, sizeof place);
	if (count >= 0)
		snprintf(objects, sizeof objects, ", %lld new objects before", (long long)count);
	if (event->hit)
		span_say(event->hit, span, sizeof span);
	gcpreload_log(
	    GCPRELOAD_LOG_WARNING,
	    "slow collection: generation %u, %.1f ms, %s, %llu collected%s, thread %ld%s%s",
	    event->generation, (double)event->duration_ns / 1e6, gcpreload_cause_name(event->cause),
	    (unsigned long long)event->collected, objects, syscall(SYS_gettid), span, place);
}

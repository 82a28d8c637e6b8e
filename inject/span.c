/* SPDX-License-Identifier: MIT */
#include "inject/span.h"

#include <stddef.h>

#include "inject/plain.h"

#define DEEPEST 64 /* ancestors of a span that has ended */

static bool span_take(struct gcpreload_hit *hit, PyObject *trace_id, PyObject *span_id)
{
	return plain_bytes(trace_id, hit->span.trace_id, sizeof hit->span.trace_id) &&
	       plain_bytes(span_id, hit->span.span_id, sizeof hit->span.span_id);
}

/* ---- OpenTelemetry: SpanContext is a tuple (trace_id, span_id, is_remote, trace_flags, ...) ----
 */

#define OTEL_FLAGS   3
#define OTEL_SAMPLED 1u

static bool span_take_otel(struct gcpreload_hit *hit, PyObject *ids)
{
	uint64_t flags = OTEL_SAMPLED;

	if (!span_take(hit, py.PyTuple_GetItem(ids, 0), py.PyTuple_GetItem(ids, 1)))
		return false;
	plain_bits(py.PyTuple_GetItem(ids, OTEL_FLAGS), &flags);
	hit->sampled = flags & OTEL_SAMPLED;
	return true;
}

/* opentelemetry.context keeps a dictionary in a ContextVar; the span is one of its items. */
static bool span_of_otel(struct gcpreload_hit *hit)
{
	static const char module[] = "opentelemetry.trace.propagation";
	PyObject *key = plain_global(module, "_SPAN_KEY");
	PyObject *variable, *context = NULL, *ids = NULL, *span = NULL;
	bool found;

	if (!key)
		key = plain_global(module, "SPAN_KEY"); /* of the first releases */
	if (!key)
		return false;
	variable = plain_attribute(plain_global("opentelemetry.context", "_RUNTIME_CONTEXT"),
				   "_current_context");
	context = plain_context_value(variable);
	if (context)
		span = py.PyDict_GetItemWithError(context, key);
	ids = plain_attribute(span, "_context");
	found = ids && span_take_otel(hit, ids);
	py_drop(ids);
	py_drop(context);
	py_drop(variable);
	return found;
}

/* ---- ddtrace: a ContextVar holds a Span, or the Context of another process's ---- */

static bool span_has_ended(PyObject *span)
{
	PyObject *duration = plain_attribute(span, "duration_ns");
	bool ended = duration && duration != py._Py_NoneStruct;

	py_drop(duration);
	return ended;
}

/* As its provider does when it is asked. new; takes span. */
static PyObject *span_that_lives(PyObject *span)
{
	PyObject *parent;
	int depth;

	for (depth = 0; span && depth < DEEPEST && span_has_ended(span); depth++) {
		parent = plain_attribute(span, "_parent");
		py_drop(span);
		span = parent;
	}
	return span;
}

static bool span_of_ddtrace(struct gcpreload_hit *hit)
{
	PyObject *variable = plain_global("ddtrace._trace.provider", "_DD_CONTEXTVAR");
	PyObject *span, *trace_id, *span_id;
	bool found;

	if (!variable)
		variable = plain_global("ddtrace.provider", "_DD_CONTEXTVAR"); /* 1.x, early 2.x */
	span = span_that_lives(plain_context_value(variable));
	trace_id = plain_attribute(span, "trace_id");
	span_id = plain_attribute(span, "span_id");
	found = span_take(hit, trace_id, span_id);
	hit->sampled = true; /* the agent decides later */
	py_drop(trace_id);
	py_drop(span_id);
	py_drop(span);
	return found;
}

bool span_current(struct gcpreload_hit *hit)
{
	PyObject *type, *value, *traceback;
	bool found;

	if (!plain_possible() || !py_in_main_interpreter())
		return false;
	*hit = (struct gcpreload_hit){ .seq = 0 };
	py.PyErr_Fetch(&type, &value, &traceback);
	found = span_of_otel(hit) || span_of_ddtrace(hit);
	py.PyErr_Clear();
	py.PyErr_Restore(type, value, traceback);
	return found;
}

/* SPDX-License-Identifier: MIT */
/*
 * The only code of ours that runs in every collection. It costs two clock reads, one walk over
 * three items and one slot; it takes no lock, allocates nothing and calls no Python code.
 * Measured: a lookup by an interned key is 150 instructions (the interpreter makes new keys each
 * time, so they are compared by content), PyDict_Next and PyUnicode_GetLength 30 together.
 *
 * Sub-interpreters (measured): 3.7-3.9 share one list of callbacks, 3.10-3.12 run our wrapper in
 * each interpreter, 3.13 and later in the main one only. Hence attaching is idempotent, and the
 * start time is kept per interpreter, in the callback's self object: from 3.12 on interpreters
 * may have a GIL each and collect at the same time.
 */
#include "inject/observer.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/shared.h"
#include "inject/hooks.h"
#include "inject/module.h"
#include "inject/slow.h"
#include "inject/span.h"
#include "ring/writer.h"

#define INTERPRETERS 64
#define CAPSULE	     "gcpreload.observer"
#define TICK_NS	     1000000ull /* what is due may wait so long */

struct observer {
	PyObject *capsule;  /* borrowed from callable: its self object */
	PyObject *callable; /* borrowed from gc.callbacks; NULL: free, or CLAIMED */
	uint64_t start_ns;  /* 0: no collection runs */
	int64_t count;	    /* of new objects, where slow collections are told */
	uint8_t cause;
	bool main;  /* of the main interpreter, the one that acts */
	bool fresh; /* no collection has begun since it is there */
};

/* Who asks at "start": bits of observer_ask_at_start. */
static unsigned askers;

static struct observer observers[INTERPRETERS];
#define CLAIMED ((PyObject *)observers) /* a slot that is being filled: no object of Python's */
static PyObject *key_generation, *key_collections, *key_collected, *key_uncollectable;
static uint64_t others_before_ns; /* of the idle collection that runs */
static bool new_runtime;	  /* what was counted is of one that ended */

/* gc.collect() and our own collections say so on the thread that makes them. */
static __thread uint8_t thread_cause __attribute__((tls_model("initial-exec")));

enum gcpreload_cause observer_cause(enum gcpreload_cause cause)
{
	enum gcpreload_cause before = thread_cause;

	thread_cause = (uint8_t)cause;
	return before;
}

void observer_idle_from(uint64_t others_ns)
{
	others_before_ns = others_ns;
}

/* There is one object for 0, and nearly all that is ever read here is that. */
static PyObject *zero, *int_type;

static bool is_int(PyObject *value)
{
	PyObject *type = py.PyObject_Type(value);

	py.Py_DecRef(type);
	return type == int_type;
}

static inline uint64_t natural_number(PyObject *value)
{
	long n;

	if (__builtin_expect(value == zero, 1))
		return 0;
	/* Another callback may have put anything there; of what is no int, PyLong_AsLong would run
	 * the code (__index__), or warn (3.9). */
	if (!value || !is_int(value))
		return 0;
	n = py.PyLong_AsLong(value);
	if (n < 0)
		py.PyErr_Clear();
	return n > 0 ? (uint64_t)n : 0;
}

static uint64_t number_of_key(PyObject *info, PyObject *key)
{
	return natural_number(py.PyDict_GetItemWithError(info, key));
}

/* The next item, if its key is as long as the one that is expected there; 0: any. */
static inline bool next_number(PyObject *info, Py_ssize_t *at, Py_ssize_t length, uint64_t *n)
{
	PyObject *key, *value;

	if (!py.PyDict_Next(info, at, &key, &value) ||
	    (length && py.PyUnicode_GetLength(key) != length))
		return false;
	*n = natural_number(value);
	return true;
}

/* The interpreter makes the dict with generation, collected and uncollectable first, in this
 * order; another callback may have changed it. */
static void read_info(PyObject *info, struct gcpreload_event *event)
{
	uint64_t generation = 0;
	Py_ssize_t at = 0;

	if (!next_number(info, &at, sizeof "generation" - 1, &generation) ||
	    !next_number(info, &at, 0, &event->collected) ||
	    !next_number(info, &at, sizeof "uncollectable" - 1, &event->uncollectable)) {
		py.PyErr_Clear();
		generation = number_of_key(info, key_generation);
		event->collected = number_of_key(info, key_collected);
		event->uncollectable = number_of_key(info, key_uncollectable);
	}
	event->generation =
	    generation < GCPRELOAD_GENERATIONS ? (uint8_t)generation : GCPRELOAD_GENERATIONS;
}

static void inherit_rest(struct observer *observer);

static void collection_stopped(struct observer *observer, PyObject *info)
{
	static uint64_t ticked_ns;
	uint64_t now = gcpreload_now_ns();
	struct gcpreload_event event = {
		.start_ns = observer->start_ns,
		.duration_ns = gcpreload_elapsed(observer->start_ns, now),
		.cause = observer->cause,
	};

	struct gcpreload_hit hit;
	bool slow;

	read_info(info, &event);
	if (observer->fresh)
		inherit_rest(observer);
	if (!observer->start_ns || event.generation >= GCPRELOAD_GENERATIONS)
		return;
	observer->start_ns = 0;
	if (__builtin_expect(event.cause == GCPRELOAD_CAUSE_IDLE, 0) &&
	    machine_others_worked(machine_cpu_of_others(), others_before_ns))
		event.cause = GCPRELOAD_CAUSE_IDLE_BUSY;
	slow = __builtin_expect(slow_from_ns != 0, 0) && event.duration_ns >= slow_from_ns;
	if (slow && observer->main && event.cause != GCPRELOAD_CAUSE_FINAL && span_current(&hit))
		event.hit = &hit;
	gcpreload_ring_record(&event);
	if (slow)
		slow_say(&event, observer->count);
	if (slow && observer->main)
		inject_told->slow(&event);
	if (askers && observer->main && inject_told->at_stop(&event))
		ticked_ns = 0;
	if (observer->main && gcpreload_elapsed(ticked_ns, now) >= TICK_NS) {
		ticked_ns = now;
		inject_told->tick(now, &event);
	}
}

/* The callbacks of "start" run before the collector looks at its lists. */
static void before_lists_are_merged(struct observer *observer, PyObject *info)
{
	struct gcpreload_event event;

	read_info(info, &event);
	observer->cause =
	    (uint8_t)inject_told->at_start(event.generation, (enum gcpreload_cause)observer->cause);
}

void observer_ask_at_start(unsigned who, bool yes)
{
	askers = yes ? askers | who : askers & ~who;
}

static inline struct observer *observer_behind(PyObject *capsule)
{
	struct observer *observer;

	if (__builtin_expect(observers[0].capsule == capsule, 1))
		return &observers[0];
	observer = py.PyCapsule_GetPointer(capsule, CAPSULE);
	return observer && observer->capsule == capsule ? observer : NULL;
}

static PyObject *on_gc(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	struct observer *observer = observer_behind(self);

	if (observer && nargs == 2) {
		/* "start" or "stop" */
		if (py.PyUnicode_GetLength(args[0]) == sizeof "start" - 1) {
			observer->cause =
			    py.Py_IsFinalizing() ? GCPRELOAD_CAUSE_FINAL : thread_cause;
			if (__builtin_expect(slow_from_ns != 0, 0))
				observer->count = slow_count();
			observer->fresh = false;
			observer->start_ns = gcpreload_now_ns();
			if (observer->main && askers)
				before_lists_are_merged(observer, args[1]);
		} else {
			collection_stopped(observer, args[1]);
		}
	}
	py.Py_IncRef(py._Py_NoneStruct);
	return py._Py_NoneStruct;
}

static struct PyMethodDef on_gc_def = { "gcpreload_observer", (PyCFunction)(void (*)(void))on_gc,
					METH_FASTCALL, NULL };

/* gc.collect: the same function, with a note of who calls. Its table says how it is called. */
static PyCFunction real_collect;

static PyObject *collect_varargs(PyObject *self, PyObject *args, PyObject *kwargs)
{
	enum gcpreload_cause before = thread_cause;
	PyObject *result;

	if (before == GCPRELOAD_CAUSE_AUTOMATIC)
		thread_cause = GCPRELOAD_CAUSE_EXPLICIT;
	result = ((PyObject * (*)(PyObject *, PyObject *, PyObject *))(void (*)(void))real_collect)(
	    self, args, kwargs);
	thread_cause = (uint8_t)before;
	return result;
}

static PyObject *collect_fastcall(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
				  PyObject *kwnames)
{
	enum gcpreload_cause before = thread_cause;
	PyObject *result;

	if (before == GCPRELOAD_CAUSE_AUTOMATIC)
		thread_cause = GCPRELOAD_CAUSE_EXPLICIT;
	result = ((PyObject * (*)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *))(
	    void (*)(void))real_collect)(self, args, nargs, kwnames);
	thread_cause = (uint8_t)before;
	return result;
}

bool observer_marks_explicit(void)
{
	return real_collect != NULL;
}

/* An automatic and an explicit collection look alike in gc.callbacks. Asking gc.get_count() in
 * each "start" would cost more than all the rest, so the explicit ones are marked instead. */
static void mark_explicit(PyObject *gc)
{
	static bool said;
	struct PyMethodDef *collect;
	PyCFunction ours = NULL;

	if (real_collect)
		return;
	collect = module_method(gc, "gc", "collect");
	if (collect && collect->ml_flags == (METH_VARARGS | METH_KEYWORDS))
		ours = (PyCFunction)(void (*)(void))collect_varargs;
	else if (collect && collect->ml_flags == (METH_FASTCALL | METH_KEYWORDS))
		ours = (PyCFunction)(void (*)(void))collect_fastcall;
	if (ours) {
		real_collect = collect->ml_meth;
		collect->ml_meth = ours;
	} else if (!said) {
		said = true;
		gcpreload_log(GCPRELOAD_LOG_INFO, "gc.collect() is counted as automatic: the "
						  "functions of gc cannot be replaced");
	}
}

void observer_forget(void)
{
	memset(observers, 0, sizeof observers);
	askers = 0;
	new_runtime = true;
	zero = int_type = NULL;
	key_generation = key_collections = key_collected = key_uncollectable = NULL;
}

/* Interpreters with a GIL each may attach at the same instant. */
static struct observer *claim_slot(void)
{
	PyObject *none;
	int i;

	for (i = 0; i < INTERPRETERS; i++) {
		none = NULL;
		if (swap_acq_rel(&observers[i].callable, &none, CLAIMED))
			return &observers[i];
	}
	return NULL;
}

/* Whoever claims it next must find it empty. */
static void unclaim_slot(struct observer *observer)
{
	observer->capsule = NULL;
	observer->main = false;
	store_release(&observer->callable, NULL);
}

static struct observer *observer_of(PyObject *callable)
{
	int i;

	for (i = 0; i < INTERPRETERS; i++)
		if (observers[i].callable == callable)
			return &observers[i];
	return NULL;
}

/* The list was cleared, or its interpreter ended. Of one that was detached the slot may be
 * another's by now. */
static void release_observer(PyObject *capsule)
{
	struct observer *observer = py.PyCapsule_GetPointer(capsule, CAPSULE);

	if (observer && observer->capsule == capsule)
		unclaim_slot(observer);
}

static bool on_list(PyObject *callbacks)
{
	Py_ssize_t i, n = py.PyList_Size(callbacks);

	for (i = 0; i < n; i++)
		if (observer_of(py.PyList_GetItem(callbacks, i)))
			return true;
	return false;
}

static bool main_attached(void)
{
	int i;

	for (i = 0; i < INTERPRETERS && py_in_main_interpreter(); i++)
		if (observers[i].callable && observers[i].main)
			return true;
	return false;
}

bool observer_any(void)
{
	int i;

	for (i = 0; i < INTERPRETERS; i++)
		if (observers[i].callable)
			return true;
	return false;
}

static bool intern_keys(void)
{
	if (!key_generation) {
		key_generation = py.PyUnicode_InternFromString("generation");
		key_collections = py.PyUnicode_InternFromString("collections");
		key_collected = py.PyUnicode_InternFromString("collected");
		key_uncollectable = py.PyUnicode_InternFromString("uncollectable");
	}
	if (!zero)
		zero = py.PyLong_FromLong(0);
	if (zero && !int_type)
		int_type = py.PyObject_Type(zero);
	return zero && key_generation && key_collections && key_collected && key_uncollectable;
}

static int append_observer(PyObject *callbacks)
{
	struct observer *observer = claim_slot();
	PyObject *capsule, *callable;
	int ret = -ENOMEM;

	if (!observer)
		return -ENOSPC;
	capsule = py.PyCapsule_New(observer, CAPSULE, release_observer);
	if (!capsule) {
		unclaim_slot(observer);
		return ret;
	}
	observer->capsule = capsule;
	callable = py.PyCFunction_NewEx(&on_gc_def, capsule, NULL);
	py.Py_DecRef(capsule);
	if (!callable)
		return ret;
	observer->start_ns = 0;
	observer->fresh = true;
	observer->callable = callable;
	observer->main = py_in_main_interpreter();
	if (py.PyList_Append(callbacks, callable) == 0)
		ret = 0;
	py.Py_DecRef(callable); /* a failed append ends it, and release_observer() with it */
	return ret;
}

/* gc.get_stats(): a list with a dictionary for each generation. */
static bool read_stats(PyObject *gc, struct gcpreload_totals stats[GCPRELOAD_GENERATIONS])
{
	PyObject *list = py.PyObject_CallMethod(gc, "get_stats", NULL), *entry;
	Py_ssize_t i, n = list ? py.PyList_Size(list) : 0;

	memset(stats, 0, GCPRELOAD_GENERATIONS * sizeof *stats);
	for (i = 0; i < n && i < GCPRELOAD_GENERATIONS; i++) {
		entry = py.PyList_GetItem(list, i);
		stats[i].collections = number_of_key(entry, key_collections);
		stats[i].collected = number_of_key(entry, key_collected);
		stats[i].uncollectable = number_of_key(entry, key_uncollectable);
	}
	py_drop(list);
	return n > 0;
}

/* The interpreter has collected before we came (four times by then on 3.11). known: what of its
 * statistics we had counted when the observer was put on the list. */
static void inherit_counts(PyObject *gc, const struct gcpreload_totals known[GCPRELOAD_GENERATIONS],
			   const struct gcpreload_totals at_append[GCPRELOAD_GENERATIONS])
{
	struct gcpreload_totals stats[GCPRELOAD_GENERATIONS], before[GCPRELOAD_GENERATIONS],
	    after[GCPRELOAD_GENERATIONS];
	int i, tries;

	for (tries = 0; tries < 10; tries++) {
		gcpreload_ring_totals(before);
		if (!read_stats(gc, stats))
			return;
		gcpreload_ring_totals(after);
		if (memcmp(before, after, sizeof after) == 0)
			break; /* nothing was collected while we read */
	}
	for (i = 0; i < GCPRELOAD_GENERATIONS; i++) {
		stats[i].collections -=
		    known[i].collections + after[i].collections - at_append[i].collections;
		stats[i].collected -=
		    known[i].collected + after[i].collected - at_append[i].collected;
		stats[i].uncollectable -=
		    known[i].uncollectable + after[i].uncollectable - at_append[i].uncollectable;
	}
	gcpreload_ring_inherit(stats);
}

/* Attached to in the middle of a collection, by a finalizer's leave: that one was not seen. */
static void inherit_rest(struct observer *observer)
{
	struct gcpreload_totals totals[GCPRELOAD_GENERATIONS];
	PyObject *gc = observer->main ? module_gc() : NULL;

	observer->fresh = false;
	gcpreload_ring_totals(totals);
	if (gc)
		inherit_counts(gc, totals, totals);
	py_drop(gc);
}

bool observer_of_another_copy(PyObject *gc)
{
	PyObject *callbacks = py_attribute(gc, "callbacks"), *method = py_attribute(gc, "collect");
	PyObject *type = method ? py.PyObject_Type(method) : NULL;
	Py_ssize_t i, n = callbacks ? py.PyList_Size(callbacks) : 0;
	bool found = false;

	for (i = 0; i < n && type && !found; i++) {
		PyObject *item = py.PyList_GetItem(callbacks, i), *is = py.PyObject_Type(item);
		PyObject *name = is == type ? py_attribute(item, "__name__") : NULL;

		found = name && !observer_of(item) &&
			py.PyUnicode_CompareWithASCIIString(name, on_gc_def.ml_name) == 0;
		py_drop(name);
		py_drop(is);
	}
	py_drop(type);
	py_drop(method);
	py_drop(callbacks);
	return found;
}

static bool attached_before;

int observer_attach(PyObject *gc)
{
	PyObject *callbacks = py_attribute(gc, "callbacks");
	static const struct gcpreload_totals none[GCPRELOAD_GENERATIONS];
	struct gcpreload_totals totals[GCPRELOAD_GENERATIONS];
	bool alone;
	int ret = -ENOSYS;

	if (!callbacks || !intern_keys())
		goto out;
	ret = 0;
	/* A list that the application has put in its place is not the interpreter's. */
	if (!on_list(callbacks) && !main_attached()) {
		if (attached_before)
			gcpreload_ring_concurrent();
		/* A list that was cleared: all that was counted is of this interpreter. */
		alone = !observer_any() && !new_runtime;
		new_runtime = false;
		gcpreload_ring_totals(totals);
		ret = append_observer(callbacks);
		if (ret == 0)
			inherit_counts(gc, alone ? totals : none, totals);
		attached_before = true;
	}
	mark_explicit(gc);
out:
	py_drop(callbacks);
	return ret;
}

/* Where the application has put another list in its place, ours is on the interpreter's still, and
 * does nothing from here on. */
void observer_detach(PyObject *gc)
{
	PyObject *callbacks = py_attribute(gc, "callbacks"), *done = NULL;
	Py_ssize_t i, n = callbacks ? py.PyList_Size(callbacks) : 0;
	struct observer *observer = NULL;

	for (i = 0; i < n && !observer; i++) {
		observer = observer_of(py.PyList_GetItem(callbacks, i));
		if (observer) {
			unclaim_slot(observer);
			done = py.PyObject_CallMethod(callbacks, "pop", "n", i);
		}
	}
	for (i = 0; i < INTERPRETERS; i++)
		if (observers[i].callable && observers[i].main)
			unclaim_slot(&observers[i]);
	attached_before = observer_any();
	py_drop(done);
	py_drop(callbacks);
}

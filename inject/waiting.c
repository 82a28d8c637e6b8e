/* SPDX-License-Identifier: MIT */
#include "inject/waiting.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/shared.h"
#include "inject/defer.h"
#include "inject/gil.h"
#include "ring/writer.h"

#define BIT(number) (1ull << ((number)-1))
/* What a fault of the thread itself raises: held off, it would come again and again. */
#define FAULTS                                                                                     \
	(BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGSYS) |     \
	 BIT(SIGABRT))
#define SIGNALS 64

static __thread struct {
	bool begun;
	bool interpreter;
	bool holds_off;
	enum gcpreload_after after;
} wait __attribute__((tls_model("initial-exec")));

void gcpreload_inject_wait_begins(bool interpreter)
{
	wait.begun = true;
	wait.interpreter = interpreter;
	wait.after = GCPRELOAD_AFTER_GO_ON;
}

/* ------------------------------------------------------------------ which loop waits */

/* "NAME." is a package: any module of it. */
static bool is_module_of(const char *module, const char *const *names)
{
	size_t length;

	for (; *names; names++) {
		length = strlen(*names);
		if ((*names)[length - 1] == '.' ? strncmp(module, *names, length) == 0
						: strcmp(module, *names) == 0)
			return true;
	}
	return false;
}

/* Loops that look at their queues after each wait, also after one that found nothing. */
static const char *const loops[] = { "trio.", "eventlet.hubs.", "twisted.internet.", "tornado.",
				     NULL };
/* The same, behind the module selectors. */
static const char *const selector_loops[] = { "asyncio.", "nest_asyncio", "curio.", NULL };

/* __name__ of the module that the frame's code is of. */
static const char *module_of(PyObject *frame)
{
	PyObject *globals = py_attribute(frame, "f_globals");
	PyObject *name = globals ? py.PyDict_GetItemString(globals, "__name__") : NULL;
	const char *text = name ? py.PyUnicode_AsUTF8AndSize(name, NULL) : NULL;

	py_drop(globals); /* the module has it as well */
	return text ? text : "";
}

static bool is_of_a_loop(void)
{
	PyObject *frame = py.PyEval_GetFrame(), *back;
	bool yes;

	if (!frame) {
		py.PyErr_Clear();
		return false;
	}
	if (is_module_of(module_of(frame), loops))
		return true;
	if (strcmp(module_of(frame), "selectors") != 0)
		return false;
	back = py_attribute(frame, "f_back");
	yes = back && back != py._Py_NoneStruct && is_module_of(module_of(back), selector_loops);
	py_drop(back);
	return yes;
}

/* A host waits without a Python frame, also where its code and the interpreter's are one object. */
static enum gcpreload_after what_it_takes(void)
{
	if (!wait.interpreter || !py.PyEval_GetGlobals())
		return GCPRELOAD_AFTER_GO_ON;
	return is_of_a_loop() ? GCPRELOAD_AFTER_EMPTY : GCPRELOAD_AFTER_INTERRUPTED;
}

bool waiting_defers(struct PyMethodDef *function)
{
	enum defer defer = defer_to_loop(function);

	if (defer == DEFER_TO_GREENLET)
		wait.after = GCPRELOAD_AFTER_EMPTY;
	return defer != DEFER_NOT;
}

/* ------------------------------------------------------------------ which calls led to it */

#define DEEPEST 64 /* frames */

static uint64_t wait_mixed(uint64_t sum, uint64_t value)
{
	sum = (sum ^ value) * 0x9e3779b97f4a7c15;
	return sum ^ sum >> 32;
}

/* Each frame by its module and its place in the code. f_code would say more, and tell the
 * application's audit hooks that it was read. */
static uint64_t wait_path_of_frame(PyObject *frame)
{
	PyObject *module = py_attribute(frame, "f_globals");
	PyObject *place = py_attribute(frame, "f_lasti");
	uint64_t path = wait_mixed(1, (uintptr_t)module);

	if (place)
		path = wait_mixed(path, (uint64_t)py.PyLong_AsLong(place));
	py_drop(module);
	py_drop(place);
	return path;
}

static uint64_t wait_path_of_frames(void)
{
	PyObject *frame = py.PyEval_GetFrame(), *back;
	uint64_t path = 0;
	int depth;

	if (frame)
		py.Py_IncRef(frame);
	for (depth = 0; frame && frame != py._Py_NoneStruct && depth < DEEPEST; depth++) {
		path = wait_mixed(path, wait_path_of_frame(frame));
		back = py_attribute(frame, "f_back");
		py.Py_DecRef(frame);
		frame = back;
	}
	py_drop(frame);
	return path;
}

static uint64_t wait_collections(void)
{
	struct gcpreload_totals totals[GCPRELOAD_GENERATIONS];
	uint64_t sum = 0;
	int i;

	gcpreload_ring_totals(totals);
	for (i = 0; i < GCPRELOAD_GENERATIONS; i++)
		sum += totals[i].collections;
	return sum;
}

/* 3.11 makes frames into objects when they are asked for, and may collect for that. */
uint64_t gcpreload_inject_wait_path(void)
{
	uint64_t path = 0, before;
	struct gil_guard guard;

	if (!gil_enter(&guard))
		return 0;
	before = wait_collections();
	if (py_in_main_interpreter())
		path = wait_path_of_frames();
	if (wait_collections() != before)
		wait.after = what_it_takes();
	gil_leave(&guard);
	return path;
}

/* ------------------------------------------------------------------ signals */

/*
 * Handlers, while they are held off: ours takes note, and afterwards the signals are sent again.
 * The signal mask would do the same, but what a finalizer starts meanwhile inherits it, threads and
 * programs alike, and SIGTERM would not end those. A handler is not inherited by a program.
 */
static struct {
	bool taken;	   /* by some thread */
	uint64_t replaced; /* handlers */
	uint64_t noted;	   /* signals that came */
	struct sigaction before[SIGNALS + 1];
} held;

static void take_note(int number)
{
	or_relaxed(&held.noted, BIT(number));
}

static bool has_handler(const struct sigaction *action)
{
	return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

static bool hold_off(void)
{
	struct sigaction noting;
	int number;

	if (exchange_acquire(&held.taken, true))
		return false;
	held.replaced = held.noted = 0;
	for (number = 1; number <= SIGNALS; number++) {
		if (BIT(number) & FAULTS || sigaction(number, NULL, &held.before[number]) < 0 ||
		    !has_handler(&held.before[number]))
			continue;
		noting = held.before[number];
		noting.sa_handler = take_note;
		noting.sa_flags &= ~(SA_SIGINFO | (int)SA_RESETHAND);
		if (sigaction(number, &noting, NULL) == 0)
			held.replaced |= BIT(number);
	}
	return true;
}

/* What a finalizer has set in their place stays. Returns what came. */
static uint64_t give_handlers_back(void)
{
	struct sigaction now;
	uint64_t noted;
	int number;

	for (number = 1; number <= SIGNALS; number++)
		if (held.replaced & BIT(number) && sigaction(number, NULL, &now) == 0 &&
		    now.sa_handler == take_note)
			sigaction(number, &held.before[number], NULL);
	noted = load_relaxed(&held.noted);
	store_release(&held.taken, false);
	return noted;
}

/* A handler in Python that runs within a callback of gc.callbacks cannot raise: its exception would
 * be printed and forgotten. */
static bool others_are_called(PyObject *gc)
{
	PyObject *callbacks = py_attribute(gc, "callbacks");
	bool yes = callbacks && py.PyList_Size(callbacks) > 1;

	py_drop(callbacks);
	return yes;
}

void waiting_collects(PyObject *gc)
{
	if (!wait.begun)
		return;
	wait.after = what_it_takes();
	/* Who goes on to wait must be interrupted by what came meanwhile, as it would have been. */
	if (!wait.holds_off && (wait.after == GCPRELOAD_AFTER_GO_ON || others_are_called(gc)))
		wait.holds_off = hold_off();
}

/* Delivered before the system call returns. */
static void send_again(uint64_t noted)
{
	int number;

	for (number = 1; number <= SIGNALS; number++)
		if (noted & BIT(number))
			syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid), number);
}

static bool signal_interrupts(uint64_t noted, bool restarts)
{
	struct sigaction action;
	int number;

	for (number = 1; number <= SIGNALS; number++)
		if (noted & BIT(number) && sigaction(number, NULL, &action) == 0 &&
		    has_handler(&action) && !(restarts && (action.sa_flags & SA_RESTART)))
			return true;
	return false;
}

enum gcpreload_after gcpreload_inject_wait_ends(bool restarts)
{
	int saved_errno = errno;
	uint64_t noted;

	wait.begun = false;
	if (wait.holds_off) {
		wait.holds_off = false;
		noted = give_handlers_back();
		if (wait.after == GCPRELOAD_AFTER_GO_ON && signal_interrupts(noted, restarts))
			wait.after = GCPRELOAD_AFTER_INTERRUPTED;
		send_again(noted);
	}
	errno = saved_errno;
	return wait.after;
}

void gcpreload_inject_wait_forked(void)
{
	/* Whichever thread held them off; what came was the parent's. */
	if (load_acquire(&held.taken))
		give_handlers_back();
	wait.holds_off = wait.begun = false;
}

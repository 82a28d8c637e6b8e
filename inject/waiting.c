/* SPDX-License-Identifier: MIT */
#include "inject/waiting.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inject/defer.h"

/* The kernel's sigset_t, for the system calls: pthread_sigmask was another library's before glibc
 * 2.32. */
typedef uint64_t signals;

#define BIT(number) (1ull << ((number)-1))
/* What a fault of the thread itself raises: held off, it would end the process. */
#define FAULTS                                                                                     \
	(BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGSYS) |     \
	 BIT(SIGABRT))

static __thread struct {
	bool begun;
	bool interpreter;
	bool held_off;
	signals before;
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
static bool is_one_of(const char *module, const char *const *names)
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
	if (is_one_of(module_of(frame), loops))
		return true;
	if (strcmp(module_of(frame), "selectors") != 0)
		return false;
	back = py_attribute(frame, "f_back");
	yes = back && back != py._Py_NoneStruct && is_one_of(module_of(back), selector_loops);
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

/* ------------------------------------------------------------------ signals */

static void set_mask(int how, const signals *now, signals *before)
{
	syscall(SYS_rt_sigprocmask, how, now, before, sizeof *now);
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
	const signals all = ~FAULTS;

	if (!wait.begun)
		return;
	wait.after = what_it_takes();
	/* Who goes on to wait must be interrupted by what came meanwhile, as it would have been. */
	if (!wait.held_off && (wait.after == GCPRELOAD_AFTER_GO_ON || others_are_called(gc))) {
		set_mask(SIG_BLOCK, &all, &wait.before);
		wait.held_off = true;
	}
}

/* The kernel's struct sigaction begins with handler and flags. */
static bool interrupts(int number, bool restarts)
{
	struct sigaction action;

	return sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
	       action.sa_handler != SIG_IGN && !(restarts && (action.sa_flags & SA_RESTART));
}

enum gcpreload_after gcpreload_inject_wait_ends(bool restarts)
{
	int saved_errno = errno, number;
	signals pending = 0;

	wait.begun = false;
	if (wait.held_off) {
		syscall(SYS_rt_sigpending, &pending, sizeof pending);
		for (number = 1; number <= 64; number++)
			if ((pending & ~wait.before & BIT(number)) &&
			    interrupts(number, restarts) && wait.after == GCPRELOAD_AFTER_GO_ON)
				wait.after = GCPRELOAD_AFTER_INTERRUPTED;
		wait.held_off = false;
		set_mask(SIG_SETMASK, &wait.before, NULL);
	}
	errno = saved_errno;
	return wait.after;
}

void gcpreload_inject_wait_forked(void)
{
	if (wait.held_off)
		set_mask(SIG_SETMASK, &wait.before, NULL);
	wait.held_off = wait.begun = false;
}

/* SPDX-License-Identifier: MIT */
/*
 * How we get in. PyImport_Inittab lists the built-in modules; it may be replaced before
 * Py_Initialize (PyImport_ExtendInittab does). Our copy has our own init function for "posix",
 * which every start of every version imports. That is called with the GIL held, early, in
 * static and shared builds, under -I -S -E and in development mode; afterwards nothing of it
 * remains on any path.
 */
#include <errno.h>
#include <string.h>

#include "base/dl.h"
#include "base/log.h"
#include "base/self.h"
#include "inject/gil.h"
#include "inject/hooks.h"
#include "inject/inject.h"
#include "inject/module.h"
#include "inject/observer.h"

#define TABLE_MAX 512
#define WRAPPED	  "posix"

/* Weak: NULL in a process without CPython. A dlsym that fails would leave a dlerror() pending in
 * the main of every such program. */
extern struct PyInittab *PyImport_Inittab __attribute__((weak));
extern const char *Py_GetVersion(void) __attribute__((weak));

static struct PyInittab copy[TABLE_MAX];
static PyObject *(*real_init)(void);
static PyCFunction real_fork, real_forkpty, real_execv, real_execve;
static void *python_handle;

static bool noted;     /* that a runtime is observed */
static bool by_attach; /* and it had begun before */

static bool attach_observer(bool late)
{
	struct gil_guard guard;
	PyObject *gc;
	int attached;
	bool ok;

	/* While a runtime starts, it is not initialized yet; with a sub-interpreter it is. */
	if (noted && !py.Py_IsInitialized()) {
		observer_forget();
		py_forget_names();
		inject_told->runtime_begins();
		module_keep_gc(NULL);
		gcpreload_self->inject = gcpreload_self->preload = 0;
		noted = false;
	}
	gil_keep(&guard);
	/* From 3.13 on this runs in the main interpreter, also for a new one. */
	if (noted && python_version.minor >= 13)
		inject_told->subinterpreter();
	gc = module_import_quietly("gc");
	if (gc && !noted) {
		module_keep_gc(gc);
		py_note_main_interpreter();
	}
	attached = gc && (noted || inject_told->observes(gc)) ? observer_attach(gc) : -ENOENT;
	/* More living interpreters than are kept: this one is not seen, and the ring says so. */
	if (attached == -ENOSPC && noted)
		inject_told->subinterpreter();
	ok = attached == 0;
	if (ok && !noted)
		inject_told->attached(late);
	noted = noted || ok;
	py_drop(gc);
	gil_leave(&guard);
	if (!ok)
		gcpreload_log(GCPRELOAD_LOG_INFO, "standing aside: gc.callbacks cannot be reached");
	return ok;
}

static __thread bool in_os_fork __attribute__((tls_model("initial-exec")));

bool inject_in_os_fork(void)
{
	return in_os_fork;
}

/* The functions of posix stay replaced where nothing is observed any more: after a detach, and in
 * a runtime that has followed the one that was attached to. */
static bool is_observed(void)
{
	return !by_attach || observer_any();
}

static PyObject *call_fork(PyCFunction real, PyObject *self)
{
	struct gil_guard guard;
	PyObject *result;

	in_os_fork = true;
	result = real(self, NULL);
	in_os_fork = false;
	/* What a child inherits is put right before its first line. */
	if (is_observed()) {
		gil_keep(&guard);
		inject_told->after_fork();
		gil_leave(&guard);
	}
	return result;
}

static PyObject *os_fork(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (is_observed())
		inject_told->before_fork();
	return call_fork(real_fork, self);
}

static PyObject *os_forkpty(PyObject *self, PyObject *unused)
{
	(void)unused;
	return call_fork(real_forkpty, self);
}

static PyObject *os_execv(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
	if (is_observed())
		inject_told->before_exec();
	return ((PyCFunctionFast)(void (*)(void))real_execv)(self, args, nargs);
}

static PyObject *os_execve(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
			   PyObject *kwnames)
{
	if (is_observed())
		inject_told->before_exec();
	return ((PyCFunctionFastWithKeywords)(void (*)(void))real_execve)(self, args, nargs,
									  kwnames);
}

/* Inside fork() the interpreter already holds locks that finalizers need, and subprocess calls
 * that too; os.fork alone is the place. From 3.9 the init function runs again for each
 * sub-interpreter, on the same table. */
static void wrap_processes(PyObject *posix)
{
	if (!module_replace(posix, WRAPPED, "fork", os_fork, &real_fork))
		gcpreload_log(GCPRELOAD_LOG_INFO, "nothing is frozen before os.fork(): it cannot "
						  "be replaced");
	module_replace(posix, WRAPPED, "forkpty", os_forkpty, &real_forkpty);
	module_replace_as(posix, WRAPPED, "execv", METH_FASTCALL,
			  (PyCFunction)(void (*)(void))os_execv, &real_execv);
	module_replace_as(posix, WRAPPED, "execve", METH_FASTCALL | METH_KEYWORDS,
			  (PyCFunction)(void (*)(void))os_execve, &real_execve);
}

static PyObject *wrapped_init(void)
{
	PyObject *module = real_init();

	if (!module)
		return NULL;
	if (pyapi_fill(python_handle) < 0)
		gcpreload_log(GCPRELOAD_LOG_INFO,
			      "standing aside: a function of the C API is missing");
	else if (attach_observer(false))
		wrap_processes(module);
	return module;
}

/* In a second runtime the entry may be that of another copy of this library, which calls us: what
 * was found first stays, unless a host has unloaded that interpreter since. */
static bool still_loaded(PyObject *(*init)(void))
{
	Dl_info info;

	return init && dladdr((void *)init, &info) && info.dli_saddr == (void *)init;
}

static int install_table(struct PyInittab **table, void *handle)
{
	struct PyInittab *posix = NULL;
	size_t n;

	if (*table == copy)
		return 0;
	for (n = 0; (*table)[n].name; n++) {
		if (n == TABLE_MAX - 1)
			return -E2BIG;
		copy[n] = (*table)[n];
		if (strcmp(copy[n].name, WRAPPED) == 0)
			posix = &copy[n];
	}
	copy[n] = (*table)[n];
	if (!posix || !posix->initfunc)
		return -ENOENT;
	if (posix->initfunc != wrapped_init && !still_loaded(real_init))
		real_init = posix->initfunc;
	posix->initfunc = wrapped_init;
	python_handle = handle;
	*table = copy;
	return 0;
}

static bool is_supported(const char *(*get_version)(void))
{
	if (get_version && pyversion_parse(&python_version, get_version()) &&
	    pyversion_supported(&python_version))
		return true;
	gcpreload_log(GCPRELOAD_LOG_INFO,
		      "standing aside: this Python is not one of " PYVERSION_RANGE);
	return false;
}

static enum gcpreload_python install_for(const char *(*get_version)(void), struct PyInittab **table,
					 void *handle)
{
	if (!is_supported(get_version))
		return GCPRELOAD_PYTHON_UNSUPPORTED;
	if (install_table(table, handle) == 0)
		return GCPRELOAD_PYTHON_FOUND;
	gcpreload_log(GCPRELOAD_LOG_INFO, "standing aside: PyImport_Inittab is not as expected");
	return GCPRELOAD_PYTHON_UNSUPPORTED;
}

enum gcpreload_python gcpreload_inject_install(void)
{
	if (!&PyImport_Inittab || !PyImport_Inittab)
		return GCPRELOAD_NO_PYTHON;
	return install_for(Py_GetVersion, &PyImport_Inittab, RTLD_DEFAULT);
}

enum gcpreload_python gcpreload_inject_starting(void *handle)
{
	struct PyInittab **table = dlsym(handle, "PyImport_Inittab");
	int (*is_initialized)(void) = (int (*)(void))dlsym(handle, "Py_IsInitialized");

	if (!table || !*table || !is_initialized)
		return GCPRELOAD_NO_PYTHON;
	if (is_initialized())
		return GCPRELOAD_PYTHON_FOUND;
	return install_for((const char *(*)(void))dlsym(handle, "Py_GetVersion"), table, handle);
}

bool gcpreload_inject_late(void *handle)
{
	struct gil_guard guard;
	bool ok;

	if (!is_supported((const char *(*)(void))dlsym(handle, "Py_GetVersion")) ||
	    pyapi_fill(handle) < 0 || !gil_enter(&guard))
		return false;
	ok = attach_observer(true);
	gil_leave(&guard);
	return ok;
}

int gcpreload_inject_may_act(void)
{
	enum gcpreload_gil gil;

	if (!py.Py_IsInitialized() || py.Py_IsFinalizing())
		return -ESHUTDOWN;
	gil = gcpreload_inject_gil();
	/* Before 3.9 a thread's own state is known to be the main interpreter's here. */
	if (gil == GCPRELOAD_GIL_HELD)
		return !py.PyThreadState_GetInterpreter || py_in_main_interpreter() ? 0 : -EXDEV;
	return gil == GCPRELOAD_GIL_UNKNOWN ? -EXDEV : -EWOULDBLOCK;
}

static bool another_copy_is_here(void)
{
	struct gil_guard guard;
	PyObject *gc;
	bool yes;

	gil_keep(&guard);
	gc = module_import_quietly("gc");
	yes = gc && observer_of_another_copy(gc);
	py_drop(gc);
	gil_leave(&guard);
	return yes;
}

int gcpreload_inject_may_attach(void *handle)
{
	int ret;

	if (!is_supported((const char *(*)(void))dlsym(handle, "Py_GetVersion")) ||
	    python_version.free_threaded)
		return -ENOTSUP;
	ret = pyapi_fill(handle) < 0 ? -ENOSYS : gcpreload_inject_may_act();
	return ret == 0 && another_copy_is_here() ? -EALREADY : ret;
}

bool gcpreload_inject_attach(void)
{
	struct gil_guard guard;
	PyObject *posix;

	by_attach = true;
	noted = false;
	if (!attach_observer(true))
		return false;
	gil_keep(&guard);
	posix = module_loaded(WRAPPED);
	if (posix)
		wrap_processes(posix);
	/* Before 3.10 they share one list of callbacks. */
	if (python_version.minor >= 10 && py_has_subinterpreters())
		inject_told->subinterpreter();
	gil_leave(&guard);
	return true;
}

/* SPDX-License-Identifier: MIT */
#include "inject/module.h"

#include <string.h>

#include "base/shared.h"
#include "inject/gil.h"
#include "inject/inject.h"

/* Include/moduleobject.h, behind the object's header: PyModuleDef_Base's three words, then ... */
struct module_def_tail {
	void *m_init;
	Py_ssize_t m_index;
	PyObject *m_copy;
	const char *m_name;
	const char *m_doc;
	Py_ssize_t m_size;
	struct PyMethodDef *m_methods;
};

static PyObject *kept_gc;

PyObject *module_gc(void)
{
	if (kept_gc)
		py.Py_IncRef(kept_gc);
	return kept_gc;
}

void module_keep_gc(PyObject *gc)
{
	kept_gc = gc;
	if (gc)
		py.Py_IncRef(gc);
}

PyObject *module_loaded(const char *name)
{
	PyObject *modules = py.PyImport_GetModuleDict();

	return modules ? py.PyDict_GetItemString(modules, name) : NULL;
}

/* types.SimpleNamespace(name=name), made without a frame of Python: _imp asks a spec for no more
 * (Python/import.c). */
static PyObject *bare_spec(const char *name)
{
	PyObject *sys = module_loaded("sys"), *implementation, *spec, *done;

	implementation = sys ? py.PyObject_GetAttrString(sys, "implementation") : NULL;
	spec = implementation ? py.PyObject_CallMethod(implementation, "__class__", NULL) : NULL;
	done = spec ? py.PyObject_CallMethod(spec, "__setattr__", "ss", "name", name) : NULL;
	if (!done) {
		py_drop(spec);
		spec = NULL;
	}
	py_drop(done);
	py_drop(implementation);
	return spec;
}

/* What importlib's BuiltinImporter does, but by C alone: a tenth of the instructions, and no
 * place where a signal could be handled. */
static PyObject *create_builtin(const char *name)
{
	PyObject *imp = module_loaded("_imp"), *spec = imp ? bare_spec(name) : NULL;
	PyObject *module, *done;

	module = spec ? py.PyObject_CallMethod(imp, "create_builtin", "O", spec) : NULL;
	done = module ? py.PyObject_CallMethod(imp, "exec_builtin", "O", module) : NULL;
	if (!done || module == py._Py_NoneStruct) {
		py_drop(module);
		module = NULL;
	}
	py_drop(done);
	py_drop(spec);
	return module;
}

PyObject *module_import_quietly(const char *name)
{
	PyObject *modules = py.PyImport_GetModuleDict(), *module;

	if (!modules)
		return NULL;
	module = py.PyDict_GetItemString(modules, name);
	if (module) {
		py.Py_IncRef(module);
		return module;
	}
	module = create_builtin(name);
	if (!module) {
		py.PyErr_Clear();
		module = py.PyImport_ImportModule(name);
	}
	/* One with a state for all interpreters (gc before 3.10) puts itself there. */
	if (module && py.PyDict_GetItemString(modules, name) &&
	    py.PyDict_DelItemString(modules, name) < 0)
		py.PyErr_Clear();
	return module;
}

/* sys.getsizeof of a bare object is the size of its header: 16, or more in builds that trace
 * references or have no GIL. */
static long header_size(void)
{
	static long known; /* asked once: the method cache would keep each name (see pyapi.h) */
	PyObject *size;
	long bytes = load_relaxed(&known);

	if (bytes)
		return bytes;
	size = py.PyObject_GetAttrString(py.PyBaseObject_Type, "__basicsize__");
	bytes = size ? py.PyLong_AsLong(size) : 0;
	py_drop(size);
	store_relaxed(&known, bytes);
	return bytes;
}

struct PyMethodDef *module_method(PyObject *module, const char *module_name, const char *method)
{
	PyObject *type = py.PyObject_Type(module), *def = module;
	const struct module_def_tail *tail;
	long header = header_size();
	struct PyMethodDef *entry;

	if (type != py.PyModuleDef_Type)
		def = py.PyModule_GetDef(module);
	py_drop(type);
	if (!def || header < 16 || header > 64)
		return NULL;
	tail = (const void *)((const char *)def + header);
	if (!tail->m_name || strcmp(tail->m_name, module_name) != 0)
		return NULL;
	for (entry = tail->m_methods; entry && entry->ml_name; entry++)
		if (strcmp(entry->ml_name, method) == 0)
			return entry;
	return NULL;
}

bool module_replace_as(PyObject *module, const char *module_name, const char *method, int flags,
		       PyCFunction ours, PyCFunction *real)
{
	struct PyMethodDef *entry = *real ? NULL : module_method(module, module_name, method);

	py.PyErr_Clear();
	if (entry && entry->ml_flags == flags) {
		*real = entry->ml_meth;
		entry->ml_meth = ours;
	}
	return *real != NULL;
}

bool module_replace(PyObject *module, const char *module_name, const char *method, PyCFunction ours,
		    PyCFunction *real)
{
	return module_replace_as(module, module_name, method, METH_NOARGS, ours, real);
}

/* importlib sets __spec__._initializing while it executes a module (3.7 to 3.15). */
static bool module_imported(const char *name)
{
	PyObject *module = module_loaded(name), *spec, *initializing;
	bool yes;

	if (!module)
		return false;
	spec = py_attribute(module, "__spec__");
	initializing = spec ? py_attribute(spec, "_initializing") : NULL;
	yes = !initializing || py.PyObject_IsTrue(initializing) == 0;
	py_drop(initializing);
	py_drop(spec);
	return yes;
}

bool gcpreload_inject_imported(const char *name)
{
	struct gil_guard guard;
	bool yes = false;

	if (gil_enter(&guard)) {
		yes = module_imported(name);
		gil_leave(&guard);
	}
	return yes;
}

int64_t gcpreload_inject_modules(void)
{
	struct gil_guard guard;
	PyObject *modules;
	int64_t n = -1;

	if (gil_enter(&guard)) {
		modules = py.PyImport_GetModuleDict();
		n = modules ? py.PyDict_Size(modules) : -1;
		gil_leave(&guard);
	}
	return n;
}

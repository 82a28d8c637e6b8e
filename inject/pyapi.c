/* SPDX-License-Identifier: MIT */
#include "inject/pyapi.h"

#include <errno.h>
#include <string.h>

#include "base/dl.h"
#include "base/shared.h"

struct pyapi py;
struct pyversion python_version;

static bool filled;

static const char *const names[] = {
#define F(type, name, args) #name,
	PYAPI_FUNCTIONS(F)
#undef F
#define O(name) #name,
	    PYAPI_OBJECTS(O)
#undef O
};

#define N_NAMES (sizeof names / sizeof *names)

_Static_assert(sizeof(struct pyapi) == (N_NAMES + 5) * sizeof(void *), "names in struct's order");

static void *symbol_of_either(void *handle, const char *new_name, const char *old_name)
{
	void *symbol = dlsym(handle, new_name);

	return symbol ? symbol : dlsym(handle, old_name);
}

/* Threads of a host that loads Python late ask at their waits whether Py_IsInitialized is there,
 * and if so call the others. */
static void publish_api(struct pyapi *found)
{
	int (*is_initialized)(void) = found->Py_IsInitialized;

	found->Py_IsInitialized = NULL;
	py = *found;
	store_release(&py.Py_IsInitialized, is_initialized);
}

int pyapi_fill(void *handle)
{
	struct pyapi found;
	void **slot = (void **)&found;
	bool whole = true;
	size_t i;

	if (filled)
		return 0;
	for (i = 0; i < N_NAMES; i++) {
		slot[i] = dlsym(handle, names[i]);
		whole = whole && slot[i];
	}
	found.PyThreadState_GetUnchecked =
	    symbol_of_either(handle, "PyThreadState_GetUnchecked", "_PyThreadState_UncheckedGet");
	found.Py_IsFinalizing = symbol_of_either(handle, "Py_IsFinalizing", "_Py_IsFinalizing");
	found.PyThreadState_GetInterpreter =
	    (PyObject * (*)(PyObject *)) dlsym(handle, "PyThreadState_GetInterpreter");
	found._PyType_Lookup =
	    (PyObject * (*)(PyObject *, PyObject *)) dlsym(handle, "_PyType_Lookup");
	found.PyContextVar_Get =
	    (int (*)(PyObject *, PyObject *, PyObject **))dlsym(handle, "PyContextVar_Get");
	dlerror(); /* what an old name left pending is ours, not the program's */
	if (!whole || !found.PyThreadState_GetUnchecked || !found.Py_IsFinalizing)
		return -ENOSYS;
	publish_api(&found);
	filled = true;
	return 0;
}

/* The modules of the main interpreter; never dereferenced. */
static PyObject *main_modules;

void py_note_main_interpreter(void)
{
	main_modules = py.PyImport_GetModuleDict();
}

bool py_in_main_interpreter(void)
{
	/* When it ends, it is the main one, and has no dictionary any more: asking would abort. */
	if (!py.PyThreadState_GetInterpreter)
		return py.Py_IsFinalizing() || py.PyImport_GetModuleDict() == main_modules;
	return py.PyThreadState_GetInterpreter(py.PyThreadState_GetUnchecked()) ==
	       py.PyInterpreterState_Main();
}

/* Interned, for as long as the runtime lives. */
static struct {
	const char *text;
	PyObject *name;
} kept_names[48];

PyObject *py_kept_name(const char *name)
{
	size_t i;

	if (!py_in_main_interpreter())
		return NULL;
	for (i = 0; i < sizeof kept_names / sizeof *kept_names; i++) {
		if (!kept_names[i].text) {
			kept_names[i].name = py.PyUnicode_InternFromString(name);
			if (!kept_names[i].name)
				return NULL;
			kept_names[i].text = name;
		}
		if (strcmp(kept_names[i].text, name) == 0)
			return kept_names[i].name;
	}
	return NULL;
}

PyObject *py_attribute(PyObject *object, const char *name)
{
	PyObject *kept = py_kept_name(name);

	return kept ? py.PyObject_GetAttr(object, kept) : py.PyObject_GetAttrString(object, name);
}

void py_forget_names(void)
{
	memset(kept_names, 0, sizeof kept_names);
}

void py_drop(PyObject *object)
{
	py.PyErr_Clear();
	if (object)
		py.Py_DecRef(object);
}

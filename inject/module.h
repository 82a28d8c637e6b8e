/* SPDX-License-Identifier: MIT */
/* Modules of the interpreter: importing one unseen, and the method tables of built-in ones. */
#ifndef GCPRELOAD_INJECT_MODULE_H
#define GCPRELOAD_INJECT_MODULE_H

#include "inject/pyapi.h"

/* The main interpreter's gc module; new reference, or NULL without an exception. Imported once,
 * while the interpreter starts: an import runs Python code, which may take locks and handle
 * signals, and has no place where a server waits. */
PyObject *module_gc(void);

/* Keeps it (NULL: a new runtime begins). */
void module_keep_gc(PyObject *gc);

/* Imports a built-in module and leaves sys.modules as it was: a program must not see a module
 * there that it never imported. New reference, or NULL with a Python exception. GIL held. */
PyObject *module_import_quietly(const char *name);

/* A module that the program has imported, or NULL (no exception). Borrowed. GIL held. */
PyObject *module_loaded(const char *name);

/* The entry of a built-in module's method table, for replacing its function: module is what its
 * init function returned, a module object or (multi-phase, PEP 489) its definition. NULL, with
 * no exception, if it cannot be found beyond doubt. GIL held. */
struct PyMethodDef *module_method(PyObject *module, const char *module_name, const char *method);

/* Puts ours in the place of a method that is called as flags say (METH_*), once, and the function
 * that was there into *real. Returns whether ours is there. GIL held. */
bool module_replace_as(PyObject *module, const char *module_name, const char *method, int flags,
		       PyCFunction ours, PyCFunction *real);

/* The same for a method without arguments. */
bool module_replace(PyObject *module, const char *module_name, const char *method, PyCFunction ours,
		    PyCFunction *real);

#endif

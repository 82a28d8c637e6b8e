/* SPDX-License-Identifier: MIT */
/* Modules of the interpreter: importing one unseen, and the method tables of built-in ones. */
#ifndef GCPRELOAD_INJECT_MODULE_H
#define GCPRELOAD_INJECT_MODULE_H

#include "inject/pyapi.h"

/* Imports a built-in module and leaves sys.modules as it was: a program must not see a module
 * there that it never imported. New reference, or NULL with a Python exception. GIL held. */
PyObject *module_import_quietly(const char *name);

/* A module that the program has imported, or NULL (no exception). Borrowed. GIL held. */
PyObject *module_loaded(const char *name);

/* The entry of a built-in module's method table, for replacing its function: module is what its
 * init function returned, a module object or (multi-phase, PEP 489) its definition. NULL, with
 * no exception, if it cannot be found beyond doubt. GIL held. */
struct PyMethodDef *module_method(PyObject *module, const char *module_name, const char *method);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * What an object of the application holds, read without running code of the application: no
 * property, no __getattr__, no __getattribute__ and no operator of a class of its own. Where that
 * cannot be, there is nothing. With the GIL, in the main interpreter; no exception is left. The
 * caller sees to it that plain_possible().
 */
#ifndef GCPRELOAD_INJECT_PLAIN_H
#define GCPRELOAD_INJECT_PLAIN_H

#include "inject/pyapi.h"

/* Whether this interpreter has what is needed. */
bool plain_possible(void);

/* A name of a module that is imported. Borrowed, or NULL. */
PyObject *plain_global(const char *module, const char *name);

/* An attribute that the object keeps in its dictionary or in a slot, or that a type in C gives.
 * New, or NULL. name is a literal. */
PyObject *plain_attribute(PyObject *object, const char *name);

/* The current value of a ContextVar. New, or NULL. */
PyObject *plain_context_value(PyObject *variable);

/* The lowest bits of an int, of whatever class. Returns whether it is one. */
bool plain_bits(PyObject *number, uint64_t *bits);

/* An int, not one of a class of its own, as size bytes, the highest first. Returns false where it
 * is none, or 0. */
bool plain_bytes(PyObject *number, uint8_t *bytes, int size);

#endif

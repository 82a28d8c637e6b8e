/* SPDX-License-Identifier: MIT */
/*
 * The C API of the interpreter in this process: one struct of function pointers, filled once,
 * all or nothing. Our own prototypes, no Python.h: one binary serves 3.7 to 3.15. Objects are
 * opaque; every function here is exported by all of these versions (checked by the tests), so
 * it is in the stable ABI or has been there for so long.
 *
 * Unless said otherwise the caller holds the GIL. "new" and "borrowed" as in the C API's manual.
 */
#ifndef GCPRELOAD_INJECT_PYAPI_H
#define GCPRELOAD_INJECT_PYAPI_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "rules/pyversion.h"

typedef struct gcpreload_object PyObject;
typedef ssize_t Py_ssize_t;

/* Include/methodobject.h */
typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);
typedef PyObject *(*PyCFunctionFast)(PyObject *, PyObject *const *, Py_ssize_t);
typedef PyObject *(*PyCFunctionFastWithKeywords)(PyObject *, PyObject *const *, Py_ssize_t,
						 PyObject *);

struct PyMethodDef {
	const char *ml_name;
	PyCFunction ml_meth;
	int ml_flags;
	const char *ml_doc;
};

#define METH_VARARGS  0x0001
#define METH_KEYWORDS 0x0002
#define METH_NOARGS   0x0004
#define METH_FASTCALL 0x0080

/* Include/import.h */
struct PyInittab {
	const char *name;
	PyObject *(*initfunc)(void);
};

/* Include/cpython/pymem.h */
struct PyMemAllocatorEx {
	void *ctx;
	void *(*malloc)(void *ctx, size_t size);
	void *(*calloc)(void *ctx, size_t nelem, size_t elsize);
	void *(*realloc)(void *ctx, void *ptr, size_t new_size);
	void (*free)(void *ctx, void *ptr);
};

#define PYMEM_DOMAIN_OBJ 2

/* Include/typeslots.h */
#define Py_tp_traverse 71

#define PYAPI_FUNCTIONS(F)                                                                         \
	F(int, Py_IsInitialized, (void))                                                           \
	F(PyObject *, PyGILState_GetThisThreadState, (void)) /* any thread, no GIL */              \
	F(int, PyGILState_Ensure, (void))                                                          \
	F(void, PyGILState_Release, (int))                                                         \
	F(int, Py_AddPendingCall, (int (*)(void *), void *)) /* any thread, no GIL */              \
	F(void, PyErr_Fetch, (PyObject **, PyObject **, PyObject **))                              \
	F(void, PyErr_Restore, (PyObject *, PyObject *, PyObject *))                               \
	F(void, PyErr_Clear, (void))                                                               \
	F(void, Py_IncRef, (PyObject *))                                                           \
	F(void, Py_DecRef, (PyObject *))                                                           \
	F(PyObject *, PyImport_ImportModule, (const char *))		 /* new */                 \
	F(PyObject *, PyImport_GetModuleDict, (void))			 /* borrowed */            \
	F(PyObject *, PyDict_GetItemString, (PyObject *, const char *))	 /* borrowed */            \
	F(PyObject *, PyDict_GetItemWithError, (PyObject *, PyObject *)) /* borrowed */            \
	F(int, PyDict_DelItemString, (PyObject *, const char *))                                   \
	F(Py_ssize_t, PyDict_Size, (PyObject *))                                                   \
	F(int, PyDict_Next, (PyObject *, Py_ssize_t *, PyObject **, PyObject **)) /* borrowed */   \
	F(PyObject *, PyObject_GetAttrString, (PyObject *, const char *))	  /* new */        \
	F(PyObject *, PyObject_GetAttr, (PyObject *, PyObject *))		  /* new */        \
	F(PyObject *, PyObject_GenericGetAttr, (PyObject *, PyObject *))	  /* new */        \
	F(PyObject *, PyObject_CallFunction, (PyObject *, const char *, ...))	  /* new */        \
	F(PyObject *, PyObject_CallMethod, (PyObject *, const char *, const char *, ...))          \
	F(PyObject *, PyObject_Type, (PyObject *)) /* new */                                       \
	F(int, PyObject_IsTrue, (PyObject *))                                                      \
	F(int, PyObject_IsInstance, (PyObject *, PyObject *))                                      \
	F(int, PyArg_ParseTuple, (PyObject *, const char *, ...))                                  \
	F(Py_ssize_t, PyList_Size, (PyObject *))                                                   \
	F(PyObject *, PyList_GetItem, (PyObject *, Py_ssize_t)) /* borrowed */                     \
	F(int, PyList_Append, (PyObject *, PyObject *))                                            \
	F(Py_ssize_t, PyTuple_Size, (PyObject *))                                                  \
	F(PyObject *, PyTuple_GetItem, (PyObject *, Py_ssize_t)) /* borrowed */                    \
	F(PyObject *, PyLong_FromLong, (long))			 /* new */                         \
	F(long, PyLong_AsLong, (PyObject *))                                                       \
	F(unsigned long long, PyLong_AsUnsignedLongLongMask, (PyObject *))                         \
	F(PyObject *, PyNumber_Rshift, (PyObject *, PyObject *))  /* new */                        \
	F(PyObject *, PyModule_GetDict, (PyObject *))		  /* borrowed */                   \
	F(PyObject *, PyUnicode_InternFromString, (const char *)) /* new */                        \
	F(int, PyUnicode_CompareWithASCIIString, (PyObject *, const char *))                       \
	F(Py_ssize_t, PyUnicode_GetLength, (PyObject *))                                           \
	F(PyObject *, PyCapsule_New, (void *, const char *, void (*)(PyObject *)))                 \
	F(void *, PyCapsule_GetPointer, (PyObject *, const char *))                                \
	F(PyObject *, PyCFunction_NewEx, (struct PyMethodDef *, PyObject *, PyObject *))           \
	F(PyObject *, PyModule_GetDef, (PyObject *)) /* borrowed; sets an exception on a def */    \
	F(PyObject *, PyEval_GetGlobals, (void))     /* borrowed; NULL: no frame runs */           \
	F(PyObject *, PyEval_GetFrame, (void))	     /* borrowed; allocates from 3.11 on */        \
	F(const char *, PyUnicode_AsUTF8AndSize, (PyObject *, Py_ssize_t *))                       \
	F(PyObject *, PyList_New, (Py_ssize_t))	     /* new */                                     \
	F(void *, PyType_GetSlot, (PyObject *, int)) /* before 3.10 heap types only */             \
	F(unsigned long, PyType_GetFlags, (PyObject *))                                            \
	F(void, PyObject_GC_Track, (PyObject *)) /* aborts where it is tracked */                  \
	F(void, PyObject_GC_UnTrack, (PyObject *))                                                 \
	F(void, PyMem_GetAllocator, (int, struct PyMemAllocatorEx *))                              \
	F(void, PyMem_SetAllocator, (int, struct PyMemAllocatorEx *))                              \
	F(PyObject *, PyInterpreterState_Main, (void)) /* no GIL */                                \
	F(PyObject *, PyInterpreterState_Head, (void)) /* no GIL; the newest of those that live */

#define PYAPI_OBJECTS(O)                                                                           \
	O(_Py_NoneStruct)                                                                          \
	O(PyBaseObject_Type)                                                                       \
	O(PyModuleDef_Type)                                                                        \
	O(PyMemberDescr_Type)                                                                      \
	O(PyGetSetDescr_Type)

struct pyapi {
#define F(type, name, args) type(*name) args;
	PYAPI_FUNCTIONS(F)
#undef F
#define O(name) PyObject *name;
	PYAPI_OBJECTS(O)
#undef O
	/* Names that changed: 3.13 dropped the underscores. No GIL needed for either. */
	PyObject *(*PyThreadState_GetUnchecked)(void);
	int (*Py_IsFinalizing)(void);
	/* From 3.9; NULL before, where there is one collector for all interpreters. */
	PyObject *(*PyThreadState_GetInterpreter)(PyObject *);
	/* May be NULL: then there is no span (inject/span.h). */
	PyObject *(*_PyType_Lookup)(PyObject *type, PyObject *name);	   /* borrowed */
	int (*PyContextVar_Get)(PyObject *, PyObject *, PyObject **value); /* new */
};

/* Valid once pyapi_fill has returned 0. */
extern struct pyapi py;

extern struct pyversion python_version;

/* Fills py from the objects of handle (RTLD_DEFAULT or dlopen's). Does not need the GIL. Returns
 * 0, also when it is filled already, or -ENOSYS when one function is missing. */
int pyapi_fill(void *handle);

/* Whether the current thread state is of the main interpreter, whose collector we tune. */
bool py_in_main_interpreter(void);

/* Whether other interpreters live besides. No GIL. */
static inline bool py_has_subinterpreters(void)
{
	return py.PyInterpreterState_Head() != py.PyInterpreterState_Main();
}

/* It is, now: before 3.9 there is nothing to ask later but what is noted here. */
void py_note_main_interpreter(void);

/* object.NAME, for what is asked again and again; new. name is a literal. Unlike
 * PyObject_GetAttrString it makes no new string each time, in the main interpreter at least:
 * from 3.10 on the interpreter's method cache (Objects/typeobject.c) would keep thousands of them,
 * each in the way of a whole arena's release. */
PyObject *py_attribute(PyObject *object, const char *name);

/* The string itself; borrowed, NULL with an exception where none is to be had. */
PyObject *py_kept_name(const char *name);

/* object.NAME(...), the arguments as for Py_BuildValue; new. */
#define py_call(object, name, ...)                                                                 \
	({                                                                                         \
		PyObject *callable_ = py_attribute(object, name);                                  \
		PyObject *result_ =                                                                \
		    callable_ ? py.PyObject_CallFunction(callable_, __VA_ARGS__) : NULL;           \
                                                                                                   \
		if (callable_)                                                                     \
			py.Py_DecRef(callable_);                                                   \
		result_;                                                                           \
	})

/* A new runtime begins in this process: what is kept for py_attribute is of the old one. */
void py_forget_names(void);

/* Forgets a pending Python exception and drops a reference that may be NULL. */
void py_drop(PyObject *object);

#endif

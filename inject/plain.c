/* SPDX-License-Identifier: MIT */
#include "inject/plain.h"

#include <stddef.h>

#include "inject/module.h"

/* Include/object.h: what PyType_GetFlags says of int. */
#define TPFLAGS_HEAPTYPE      (1ul << 9)
#define TPFLAGS_LONG_SUBCLASS (1ul << 24)

bool plain_possible(void)
{
	return py._PyType_Lookup && py.PyContextVar_Get;
}

PyObject *plain_global(const char *module, const char *name)
{
	PyObject *found = module_loaded(module), *kept = py_kept_name(name);
	PyObject *dict = found ? py.PyModule_GetDict(found) : NULL;

	found = dict && kept ? py.PyDict_GetItemWithError(dict, kept) : NULL;
	py.PyErr_Clear();
	return found;
}

/* What is compared only. */
static PyObject *plain_type(PyObject *object)
{
	PyObject *type = py.PyObject_Type(object);

	py.Py_DecRef(type);
	return type;
}

/* Attribute lookup asks the class first, and a class may have a property there, or a descriptor of
 * its own. Slots and what types in C give run no Python. */
PyObject *plain_attribute(PyObject *object, const char *name)
{
	PyObject *kept = object ? py_kept_name(name) : NULL, *in_class, *kind, *value = NULL;

	if (kept) {
		in_class = py._PyType_Lookup(plain_type(object), kept);
		kind = in_class ? plain_type(in_class) : NULL;
		if (!kind || kind == py.PyMemberDescr_Type || kind == py.PyGetSetDescr_Type)
			value = py.PyObject_GenericGetAttr(object, kept);
	}
	py.PyErr_Clear();
	return value;
}

PyObject *plain_context_value(PyObject *variable)
{
	PyObject *value = NULL;

	if (variable && py.PyContextVar_Get(variable, NULL, &value) < 0)
		value = NULL;
	py.PyErr_Clear();
	return value;
}

bool plain_bits(PyObject *number, uint64_t *bits)
{
	if (!number || !(py.PyType_GetFlags(plain_type(number)) & TPFLAGS_LONG_SUBCLASS))
		return false;
	*bits = py.PyLong_AsUnsignedLongLongMask(number);
	return true;
}

static bool plain_is_int(PyObject *object)
{
	unsigned long flags = py.PyType_GetFlags(plain_type(object));

	return flags & TPFLAGS_LONG_SUBCLASS && !(flags & TPFLAGS_HEAPTYPE);
}

/* Eight bytes at a time. */
bool plain_bytes(PyObject *number, uint8_t *bytes, int size)
{
	PyObject *rest = number, *shift, *next;
	unsigned long long word = 0, any = 0;

	if (!number || !plain_is_int(number))
		return false;
	py.Py_IncRef(rest);
	while (rest && size > 0) {
		if (size % 8 == 0) {
			word = py.PyLong_AsUnsignedLongLongMask(rest);
			any |= word;
			shift = py.PyLong_FromLong(64);
			next = shift ? py.PyNumber_Rshift(rest, shift) : NULL;
			py_drop(shift);
			py_drop(rest);
			rest = next;
		}
		bytes[--size] = (uint8_t)word;
		word >>= 8;
	}
	py_drop(rest);
	return size == 0 && any;
}

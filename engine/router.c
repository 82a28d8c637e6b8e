/* SPDX-License-Identifier: MIT */
#include "engine/router.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "engine/collector.h"
#include "engine/process.h"
#include "inject/module.h"
#include "inject/plain.h"
#include "rules/helper.h"

/* Of the host's module; -1 where it is not a function in C, as in a stand-in that the application
 * has for it. */
static int64_t router_number(PyObject *gc, const char *name)
{
	PyObject *known = py_attribute(gc, "isenabled"), *type = NULL, *wanted = NULL;
	PyObject *function = plain_global(helper_host.module, name);
	int64_t number = -1;

	if (known && function) {
		type = py.PyObject_Type(function);
		wanted = py.PyObject_Type(known);
	}
	if (type && type == wanted)
		number = collector_ask(module_loaded(helper_host.module), name);
	py_drop(wanted);
	py_drop(type);
	py_drop(known);
	return number;
}

const char *router_why(PyObject *gc)
{
	const char *const *name;

	if (settings->force || !module_loaded(helper_host.module) ||
	    router_number(gc, helper_host.parent) == syscall(SYS_getpid))
		return NULL;
	for (name = helper_host.numbers; *name; name++)
		if (router_number(gc, *name) != 0)
			return NULL;
	return helper_host.why;
}

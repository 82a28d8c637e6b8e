/* SPDX-License-Identifier: MIT */
/* Versions of CPython, and which of them this library knows. */
#ifndef GCPRELOAD_RULES_PYVERSION_H
#define GCPRELOAD_RULES_PYVERSION_H

#include <stdbool.h>

/* What is tuned: the range for people, and its last. */
#define PYVERSION_RANGE "3.7 to 3.15"
#define PYVERSION_TUNED 15
/* Measured only, until it is tested. */
#define PYVERSION_UNTESTED "3.16"

/* Which collector runs, as far as the interpreter shows it (rules/recipe.h). */
enum pyversion_collector {
	PYVERSION_BY_NUMBER, /* nobody has asked it */
	PYVERSION_GENERATIONS,
	PYVERSION_INCREMENTAL,
	PYVERSION_OTHER,
};

struct pyversion {
	int major;
	int minor;
	int micro;
	bool alpha; /* before the first beta */
	bool free_threaded;
	enum pyversion_collector collector;
};

/* Whether the library goes into it, if only to measure. */
bool pyversion_supported(const struct pyversion *version);

/* Parses what Py_GetVersion() says ("3.13.0 experimental free-threading build (...)"). Returns
 * false if it is not a version. */
bool pyversion_parse(struct pyversion *version, const char *text);

#endif

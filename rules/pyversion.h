/* SPDX-License-Identifier: MIT */
/* Versions of CPython, and which of them this library knows. */
#ifndef GCPRELOAD_RULES_PYVERSION_H
#define GCPRELOAD_RULES_PYVERSION_H

#include <stdbool.h>

/* The range for people. */
#define PYVERSION_RANGE "3.7 to 3.15"

struct pyversion {
	int major;
	int minor;
	int micro;
	bool alpha; /* before the first beta */
	bool free_threaded;
};

/* Whether a version is in that range. */
bool pyversion_supported(const struct pyversion *version);

/* Parses what Py_GetVersion() says ("3.13.0 experimental free-threading build (...)"). Returns
 * false if it is not a version. */
bool pyversion_parse(struct pyversion *version, const char *text);

#endif

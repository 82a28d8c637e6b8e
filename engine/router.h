/* SPDX-License-Identifier: MIT */
/* Processes of a host with Python in them that run none. */
#ifndef GCPRELOAD_ENGINE_ROUTER_H
#define GCPRELOAD_ENGINE_ROUTER_H

#include "inject/pyapi.h"

/* Why this one serves no requests of the application, or NULL (rules/helper.h: helper_host). GIL,
 * in the main interpreter; runs no code of the application. */
const char *router_why(PyObject *gc);

#endif

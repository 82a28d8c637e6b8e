/* SPDX-License-Identifier: MIT */
/*
 * Kubernetes puts the services of a namespace into the environment of its pods. One that is named
 * gcpreload-export makes GCPRELOAD_EXPORT_PORT, GCPRELOAD_EXPORT_SERVICE_HOST and so on, which are
 * no settings, and no mistakes either.
 */
#ifndef GCPRELOAD_RULES_SERVICE_LINK_H
#define GCPRELOAD_RULES_SERVICE_LINK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a variable's name, without GCPRELOAD_, is such a one. No setting has such a name. */
bool service_link_is(const char *name, size_t length);

#endif

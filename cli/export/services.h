/* SPDX-License-Identifier: MIT */
/* The services of a gather. */
#ifndef GCPRELOAD_CLI_EXPORT_SERVICES_H
#define GCPRELOAD_CLI_EXPORT_SERVICES_H

#include "cli/export/gather.h"

/* The one of that name, made where there is none; beyond GATHER_MOST_SERVICES, that of all others.
 */
struct gather_service *services_named(struct gather *gather, const char *name);

#endif

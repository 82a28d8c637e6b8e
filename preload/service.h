/* SPDX-License-Identifier: MIT */
/* Which service this process belongs to (rules/service.h). */
#ifndef GCPRELOAD_PRELOAD_SERVICE_H
#define GCPRELOAD_PRELOAD_SERVICE_H

#include "ring/layout.h"
#include "rules/service.h"
#include "rules/settings.h"

/* When the settings are read; they stay. */
void service_start(const struct gcpreload_settings *settings, char *const *environment);

/* Its name, SERVICE_NAME bytes with its end, and where that comes from. Any thread; the first to
 * ask reads some files. */
struct gcpreload_service service_of_process(char *name);

#endif

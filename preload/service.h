/* SPDX-License-Identifier: MIT */
/* Which service this process belongs to (rules/service.h). */
#ifndef GCPRELOAD_PRELOAD_SERVICE_H
#define GCPRELOAD_PRELOAD_SERVICE_H

#include <stdint.h>

#include "rules/settings.h"

#define SERVICE_NAME 64 /* with its end; what the header of a ring has room for */

/* When the settings are read; they stay. */
void service_start(const struct gcpreload_settings *settings, char *const *environment);

/* Its name, and where that comes from. Any thread; the first to ask reads some files. */
uint32_t service_of_process(char name[SERVICE_NAME]);

#endif

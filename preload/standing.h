/* SPDX-License-Identifier: MIT */
/* The control files that need no ring: all.ctl, service.NAME.ctl and PID.START.ctl
 * (ring/layout.h). */
#ifndef GCPRELOAD_PRELOAD_STANDING_H
#define GCPRELOAD_PRELOAD_STANDING_H

#include <stdbool.h>

#include "ring/control.h"

struct standing {
	struct gcpreload_control all, service, process; /* serial 0: there is none */
	const char *why;				/* one of them cannot be used; or NULL */
};

/* Where nothing has changed in the directory since the last look: one system call, and false. Else
 * reads them; of a directory that others may write to none. One thread at a time. */
bool standing_look(const char *dir, struct standing *standing);

/* The next look reads them. */
void standing_forget(void);

#endif

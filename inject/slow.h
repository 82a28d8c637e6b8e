/* SPDX-License-Identifier: MIT */
/* GCPRELOAD_SLOW_MS: a line in the log for each collection that took longer. */
#ifndef GCPRELOAD_INJECT_SLOW_H
#define GCPRELOAD_INJECT_SLOW_H

#include <stdint.h>

#include "ring/writer.h"

/* From which duration on; 0: never. One load in each collection. */
extern uint64_t slow_from_ns;

/* At "start", where slow_from_ns is not 0: how many objects the young generation has. With the
 * GIL. -1: unknown. */
int64_t slow_count(void);

/* At "stop": says the collection, and the line of Python in which it ran: that of the allocation
 * that set it off, and from 3.12 on that of the next look of the interpreter at its signals and
 * pending calls, a line or a loop later. With the GIL, no exception pending; never blocks. */
void slow_say(const struct gcpreload_event *event, int64_t count);

#endif

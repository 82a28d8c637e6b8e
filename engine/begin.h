/* SPDX-License-Identifier: MIT */
/* A process begins: the first one, and each forked child, in which all is new. GIL held. */
#ifndef GCPRELOAD_ENGINE_BEGIN_H
#define GCPRELOAD_ENGINE_BEGIN_H

#include <stdbool.h>

#include "base/vocabulary.h"

/* Every entry from outside begins with this. */
void begin_if_new(void);

/* What begins next is this process, attached to while it runs: it counts as nobody's child. */
void begin_by_attach(void);

/* Before a process acts that serves nothing so far: what it was told meanwhile (engine.h), and
 * where it was told nothing its settings, decide its mode anew. */
void begin_with_mode(void);

/* What the settings and the sample say, without any command. */
enum gcpreload_mode begin_mode_of_settings(void);

/* The observer is in place for the first time. late: the interpreter had begun before us. */
void begin_attached(bool late);

/* An interpreter began whose collections are not seen. */
void begin_subinterpreter(void);

#endif

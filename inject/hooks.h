/* SPDX-License-Identifier: MIT */
/* What inject/ tells the engine, and asks it: set once, before an interpreter is looked for. GIL
 * held in each. */
#ifndef GCPRELOAD_INJECT_HOOKS_H
#define GCPRELOAD_INJECT_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "inject/pyapi.h"
#include "ring/writer.h"

struct inject_hooks {
	/* A runtime begins, before it is seen; a former one has ended in this process. */
	void (*runtime_begins)(void);
	/* Its collector is about to be observed. False: leave it alone. */
	bool (*observes)(PyObject *gc);
	/* It is. late: the interpreter had begun before us. */
	void (*attached)(bool late);
	/* An interpreter began whose collections are not seen. */
	void (*subinterpreter)(void);
	/* os.fork() begins, no lock of the interpreter's is taken yet; and has returned, in the
	 * parent and in the child, before its first line. */
	void (*before_fork)(void);
	void (*after_fork)(void);
	/* os.execv() or os.execve() begins: another program, if it succeeds. */
	void (*before_exec)(void);

	/* In gc.callbacks of the main interpreter, where observer_ask_at_start said so: a
	 * collection begins. The collector has not looked at its lists yet. Returns what it is to
	 * be called. */
	enum gcpreload_cause (*at_start)(unsigned generation, enum gcpreload_cause cause);
	/* There as well: it has ended. Whether the next tick should come at once. */
	bool (*at_stop)(const struct gcpreload_event *event);
	/* There as well, before at_stop: it was a slow one. */
	void (*slow)(const struct gcpreload_event *event);
	/* A collection of the main interpreter's has ended; once a millisecond at most. */
	void (*tick)(uint64_t now_ns, const struct gcpreload_event *event);
};

/* Must live for ever. */
void inject_hook(const struct inject_hooks *hooks);

/* Never NULL after that. */
extern const struct inject_hooks *inject_told;

/* Whether the calling thread is in os.fork(): the fork() of C that it comes to is not a host's
 * own. No GIL. */
bool inject_in_os_fork(void);

#endif

/* SPDX-License-Identifier: MIT */
#include "rules/forked.h"

#include <stddef.h>
#include <string.h>

/* A full collection writes the head of every object: of 100 000, some 10 MB become each child's
 * own. Fewer are those of a bare interpreter with its libraries, and not worth a ring, nor 10 ms
 * at the fork. */
#define WORTH 100000

/* With an emptied start all that is the worker's own is in the oldest generation, too. */
#define INHERITS_MOST 1.25

bool forked_by_module(const char *module, bool (*loaded)(const char *name))
{
	/* These parents do nothing but fork, and hold what their children are to find; a pool of
	 * multiprocessing is made by a program that goes on with its data. */
	static const struct {
		const char *module, *with;
	} makers[] = {
		{ "multiprocessing.forkserver", NULL },
		{ "billiard.forkserver", "celery" },
		{ "billiard.popen_fork", "celery" },
	};
	size_t i;

	for (i = 0; i < sizeof makers / sizeof *makers; i++)
		if (strcmp(module, makers[i].module) == 0)
			return !makers[i].with || loaded(makers[i].with);
	return false;
}

bool forked_is_worth(int64_t objects)
{
	return objects >= WORTH;
}

/* A worker of a host that we do not know as one (gunicorn --reuse-port) has a loaded heap that
 * nobody froze before the fork. A full collection would make all its pages the worker's own
 * (measured, 3 -> 45 MB). Where the interpreter has made one since the fork, they are already;
 * where not, fewer objects are new than a quarter of all, and what is garbage among them in the
 * oldest generation is little. So it never owns more than without us. */
int forked_generation(const struct forked *process)
{
	if (!process->is_child || process->parent_froze)
		return 2;
	if (!process->start_was_emptied)
		return process->full_since ? 2 : 1;
	if (!process->resident_at_fork)
		return 2;
	return (double)process->resident < INHERITS_MOST * (double)process->resident_at_fork ? 1
											     : 2;
}

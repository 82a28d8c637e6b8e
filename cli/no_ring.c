/* SPDX-License-Identifier: MIT */
#include "cli/no_ring.h"

#include <string.h>

#include "cli/memory.h"
#include "cli/procfs.h"

/* Under the library, and no file: it has not come so far, or is to have none. */
static char *why_none_yet(const struct procfs *p)
{
	char value[256];

	if (procfs_environment(p->pid, "GCPRELOAD_RING", value, sizeof value) == 1 &&
	    strcmp(value, "off") == 0)
		return format_text("%d: GCPRELOAD_RING=off: it has no file, through which it would "
				   "be told; start it without that",
				   (int)p->pid);
	if (procfs_environment(p->pid, "GCPRELOAD_TRIGGER", value, sizeof value) != 1)
		strcpy(value, "auto");
	return format_text("%d: has no measurements yet, beside which it looks for commands: it "
			   "waits for its trigger (%s), or was told to do nothing, as gcpreload "
			   "doctor --pid %d says; to say when it is ready, start it with "
			   "GCPRELOAD_TRIGGER=signal and then: kill -URG %d",
			   (int)p->pid, value, (int)p->pid, (int)p->pid);
}

char *no_ring_why(int32_t pid, const char *where)
{
	struct procfs p;

	if (procfs_read(&p, pid) < 0)
		return format_text("%d: there is no such process here; see: gcpreload ps --all",
				   pid);
	if (*p.ring)
		return format_text("%d: has its measurements in %s, and not in %s; add --user %u, "
				   "or --dir",
				   pid, p.ring, where, p.uid);
	if (*p.python && *p.library)
		return why_none_yet(&p);
	return format_text("%d: no measurements of it in %s; ask: gcpreload doctor --pid %d", pid,
			   where, pid);
}

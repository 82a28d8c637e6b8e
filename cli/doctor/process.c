/* SPDX-License-Identifier: MIT */
/* doctor --pid: why a running process is tuned, or not. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/attach_target.h"
#include "cli/doctor/process.h"
#include "cli/doctor/scope.h"
#include "cli/locate.h"
#include "cli/no_ring.h"
#include "cli/procfs.h"
#include "ring/reader.h"

static void say_state(const struct gcpreload_header *h, struct findings *findings)
{
	bool tuned = h->state == GCPRELOAD_STATE_READY || h->state == GCPRELOAD_STATE_PARENT ||
		     h->state == GCPRELOAD_STATE_BASELINE;
	bool observed = h->state == GCPRELOAD_STATE_OBSERVING;

	findings_add(findings,
		     tuned	? FINDING_GOOD
		     : observed ? FINDING_OBSERVED
				: FINDING_BAD,
		     "%d: mode %s, %s%s%s", h->pid, gcpreload_mode_name(h->mode),
		     gcpreload_state_name(h->state), *h->reason ? ": " : "", h->reason);
	if (h->state == GCPRELOAD_STATE_STANDING_BACK)
		findings_add(findings, FINDING_NOTE,
			     "GCPRELOAD_FORCE=1 tunes it all the same, if you know better");
}

/* The ring as the process sees it, which may be in a container with a /dev/shm of its own. */
static void examine_ring(const struct procfs *p, struct findings *findings)
{
	struct gcpreload_reader reader;
	char path[1024];
	const char *why;

	snprintf(path, sizeof path, "/proc/%d/root%s", (int)p->pid, p->ring);
	if (gcpreload_reader_open(&reader, AT_FDCWD, path, &why) < 0 &&
	    gcpreload_reader_open(&reader, AT_FDCWD, p->ring, &why) < 0) {
		findings_add(findings, FINDING_NOTE, "%s: its measurements cannot be read: %s",
			     p->ring, why);
		return;
	}
	findings_add(findings, FINDING_GOOD, "%s: its measurements", p->ring);
	say_state(&reader.header, findings);
	gcpreload_reader_close(&reader);
}

/* Python and the library, but no ring. Returns whether decision is known. */
static bool explain_no_ring(const struct procfs *p, struct decision *decision,
			    struct findings *findings)
{
	int ret = decision_of_process(decision, p->pid);
	char *setting, *reason;
	bool comes;

	if (ret < 0) {
		findings_add(findings, FINDING_BAD,
			     "%d: its environment cannot be read: %s; ask as root", (int)p->pid,
			     strerror(-ret));
		return false;
	}
	scope_check(decision, findings);
	if (findings_worst(findings) >= FINDING_OBSERVED)
		return true;
	if (decision->settings.ring == GCPRELOAD_RING_OFF) {
		setting = decision_setting(decision, SETTINGS_RING);
		findings_add(findings, FINDING_IF,
			     "%s: it keeps no measurements, so nothing can be told", setting);
		free(setting);
		return true;
	}
	reason = no_ring_reason(p, &comes);
	if (!comes)
		findings_add(findings, FINDING_IF, "%d: %s", (int)p->pid, reason);
	free(reason);
	if (!comes)
		return true;
	findings_add(
	    findings, FINDING_BAD,
	    "%d: the library is in it and has decided nothing yet: its main thread has not "
	    "waited on a listening socket. A server does when it has started up; a worker without "
	    "one is ready when it has worked for half a minute without importing or growing; the "
	    "parent of workers, a script or a short job is left as it is",
	    (int)p->pid);
	return true;
}

/* Python, but not the library. */
static void explain_not_loaded(const struct procfs *p, struct findings *findings)
{
	char preload[4096], path[4200];
	int ret = procfs_environment(p->pid, "LD_PRELOAD", preload, sizeof preload);
	char *library;

	if (p->musl) {
		findings_add(
		    findings, FINDING_BAD,
		    "%d: runs on musl (Alpine, for example), and the library is for glibc; use an "
		    "image with glibc, such as python:3-slim",
		    (int)p->pid);
		return;
	}
	if (ret < 0) {
		findings_add(findings, FINDING_BAD,
			     "%d: its environment cannot be read: %s; ask as root", (int)p->pid,
			     strerror(-ret));
		return;
	}
	library = ret ? strstr(preload, LOCATE_LIBRARY) : NULL;
	if (!library) {
		findings_add(
		    findings, FINDING_BAD,
		    "%d: was started without the library in LD_PRELOAD; start it again with: "
		    "gcpreload run. Where it was set, something on the way dropped it: ask doctor "
		    "about the whole command",
		    (int)p->pid);
		return;
	}
	library[strlen(LOCATE_LIBRARY)] = '\0';
	while (library > preload && library[-1] != ':' && library[-1] != ' ')
		library--;
	snprintf(path, sizeof path, "/proc/%d/root%s", (int)p->pid, library);
	if (*library == '/' && access(path, F_OK) < 0)
		findings_add(
		    findings, FINDING_BAD,
		    "%d: LD_PRELOAD names %s, which is not there as the process sees it; copy "
		    "the library into its container",
		    (int)p->pid, library);
	else
		findings_add(
		    findings, FINDING_BAD,
		    "%d: LD_PRELOAD names the library, and ld.so did not load it: another "
		    "machine's or libc's, not readable for its user, or a setuid program; ask "
		    "doctor about the command",
		    (int)p->pid);
}

void doctor_check_filter(int32_t pid, struct findings *findings)
{
	if (procfs_filtered(pid))
		findings_add(
		    findings, FINDING_NOTE,
		    "seccomp: system calls are filtered %s; a filter that ends the process for "
		    "one, and does not answer with an error, must allow those of "
		    "docs/system-calls.md. Docker's default and @system-service do",
		    pid ? "in it" : "here");
}

/* When it was started, by CLOCK_REALTIME as that is set now. */
static time_t process_began(const struct procfs *p)
{
	struct timespec boot, real;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &real);
	return real.tv_sec - boot.tv_sec + (time_t)(p->start_time / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* What is mapped is the file's: who writes into it writes into every process that has it. */
static void check_library_file(const struct procfs *p, struct findings *findings)
{
	static const char deleted[] = " (deleted)";
	size_t n = strlen(p->library), m = sizeof deleted - 1;
	char path[1024];
	struct stat st;

	if (n > m && strcmp(p->library + n - m, deleted) == 0) {
		findings_add(
		    findings, FINDING_NOTE,
		    "%.*s: was replaced or removed since %d began, which goes on with the old "
		    "one until it is started again",
		    (int)(n - m), p->library, (int)p->pid);
		return;
	}
	snprintf(path, sizeof path, "/proc/%d/root%s", (int)p->pid, p->library);
	if (stat(path, &st) == 0 && st.st_mtime > process_began(p) + 1)
		findings_add(
		    findings, FINDING_NOTE,
		    "%s: was written to since %d began, and that may end it at any moment: "
		    "start it again. cp writes into a file that processes have mapped; make "
		    "install and mv put a new one in its place",
		    p->library, (int)p->pid);
}

/* Without a restart. */
static void say_attach(int32_t pid, struct findings *findings)
{
	struct attach_target target;
	char *why = attach_target_read(&target, pid, NULL, false);

	if (why)
		findings_add(findings, FINDING_NOTE, "gcpreload attach would not work: %s", why);
	else
		findings_add(findings, FINDING_NOTE,
			     "gcpreload attach %d would work, without a restart", pid);
	free(why);
	attach_target_free(&target);
}

bool doctor_examine_process(int32_t pid, struct decision *decision, struct findings *findings)
{
	struct procfs p;
	int ret = procfs_read(&p, pid);

	if (ret < 0) {
		findings_add(findings, FINDING_BAD, "%d: no such process; see: gcpreload ps --all",
			     pid);
		return false;
	}
	findings_add(findings, FINDING_GOOD, "%d: %s", pid, *p.command ? p.command : p.exe);
	if (!p.maps_read) {
		findings_add(
		    findings, FINDING_BAD,
		    "%d: belongs to user %u, or cannot be looked at for another reason; ask as "
		    "its user or as root",
		    pid, p.uid);
		return false;
	}
	doctor_check_filter(pid, findings);
	if (*p.library)
		check_library_file(&p, findings);
	if (*p.ring) {
		examine_ring(&p, findings);
		return false;
	}
	if (!*p.python) {
		findings_add(
		    findings, FINDING_BAD,
		    "%d: there is no Python in it (%s); ask about the process that runs Python",
		    pid, *p.exe ? p.exe : "its program cannot be told");
		return false;
	}
	findings_add(findings, FINDING_GOOD, "%s: its Python", p.python);
	if (*p.library)
		return explain_no_ring(&p, decision, findings);
	explain_not_loaded(&p, findings);
	say_attach(pid, findings);
	return false;
}

/* SPDX-License-Identifier: MIT */
#include "cli/attach/attach.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/clock.h"
#include "cli/attach/remote_call.h"
#include "cli/attach/script.h"
#include "cli/attach/step.h"
#include "cli/attach_target.h"
#include "cli/memory.h"
#include "cli/text.h"

#define SECOND	     UINT64_C(1000000000)
#define PATIENCE     (SECOND / 2)   /* then it is said that it waits */
#define RING_SECONDS (5 * SECOND)   /* for the file, once the library has answered */
#define MEMORY	     ((size_t)8192) /* for the text, and behind it for the answer */

struct attaching {
	const struct attach_wish *wish;
	struct attach_target target;
	uint64_t memory; /* in the process */
	uint64_t begun, deadline;
	bool again;	  /* it was just where nothing can be done */
	bool interrupted; /* a try was, which may have come to its end all the same */
};

static void attach_nap(void)
{
	struct timespec nap = { .tv_nsec = 2000000 };

	nanosleep(&nap, NULL);
}

/* Why a call could not be made. */
static char *attach_no_call(const struct attaching *a, int error)
{
	int pid = (int)a->wish->pid;
	char *why;

	switch (-error) {
	case EPERM:
	case EACCES:
		why = attach_target_check(&a->target);
		return why ? why : attach_target_forbidden(&a->target);
	case ESRCH:
		return format_text("%d: has ended", pid);
	case EBUSY:
		return format_text("%d: is being stopped; continue it first: kill -CONT %d", pid,
				   pid);
	case ETIMEDOUT:
		return format_text("%d: its main thread was at no place where a call is safe: it "
				   "runs C code, or sleeps in the kernel; nothing was changed, try "
				   "again, or with a longer --timeout",
				   pid);
	case ENOTSUP:
		return format_text("%d: this processor's registers cannot be kept (AMX, or no "
				   "XSAVE); start it again with gcpreload run",
				   pid);
	default:
		return format_text("%d: the call failed: %s; see docs/attach.md", pid,
				   strerror(-error));
	}
}

static char *attach_call(struct attaching *a, struct remote_call *call)
{
	int ret = remote_call(&a->target, call, a->deadline);

	return ret < 0 ? attach_no_call(a, ret) : NULL;
}

static char *attach_get_memory(struct attaching *a)
{
	struct remote_call call = {
		.number = SYS_mmap,
		.arguments = { 0, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       (uint64_t)-1, 0 },
	};
	char *why = attach_call(a, &call);

	if (why)
		return why;
	if (call.result <= 0 && call.result > -4096)
		return format_text("%d: has no memory left: %s", (int)a->wish->pid,
				   strerror((int)-call.result));
	a->memory = (uint64_t)call.result;
	return NULL;
}

/* Only when the text has answered: until then the interpreter has its address. */
static void attach_give_back(struct attaching *a)
{
	struct remote_call call = { .number = SYS_munmap, .arguments = { a->memory, MEMORY } };
	uint64_t soon = gcpreload_now_ns() + SECOND;

	remote_call(&a->target, &call, soon);
}

static char *attach_put_text(struct attaching *a)
{
	static const char none[SCRIPT_ANSWER]; /* the whole of an earlier one */
	uint64_t answer = a->memory + MEMORY - SCRIPT_ANSWER;
	char *text = script_text(a->target.inner_pid, a->target.library, a->wish->settings, answer);
	size_t size = strlen(text) + 1;
	int ret;

	if (size > MEMORY - SCRIPT_ANSWER)
		ret = -E2BIG;
	else
		ret = target_memory_write(a->wish->pid, answer, none, sizeof none);
	if (ret == 0)
		ret = target_memory_write(a->wish->pid, a->memory, text, size);
	step_made();
	free(text);
	if (ret < 0)
		attach_give_back(a);
	return ret < 0 ? attach_no_call(a, ret) : NULL;
}

static char *attach_add_call(struct attaching *a)
{
	struct remote_call call = {
		.function = a->target.add_pending_call,
		.arguments = { a->target.run_string, a->memory },
	};

	return attach_call(a, &call);
}

/* An empty text does nothing. */
static char *attach_withdraw(struct attaching *a)
{
	struct procfs p;

	target_memory_write(a->wish->pid, a->memory, "", 1);
	if (!a->target.loaded && procfs_read(&p, a->wish->pid) == 0 && *p.library)
		return format_text("%d: the library is in it, and gave no answer; is /proc there "
				   "for it? See: gcpreload ps",
				   (int)a->wish->pid);
	return format_text("%d: its main thread ran no Python in %u s: it sleeps, or is in C code; "
			   "nothing was done; try again when it has work, or with a longer "
			   "--timeout",
			   (int)a->wish->pid, a->wish->timeout);
}

#define START_AGAIN "start it again with gcpreload run"

/* What the library may return (preload/attach.h). */
static const struct {
	int error;
	const char *why;
} attach_refusals[] = {
	{ EALREADY, "is attached already, or was started with the library; use: gcpreload set" },
	{ EINVAL, "the library cannot use these settings; look at --mode and --dir" },
	{ E2BIG, "the settings are too long" },
	{ ECANCELED, "its settings say to leave it alone; see: gcpreload doctor --pid" },
	{ ENOTSUP, "this Python is not supported; see: gcpreload doctor --pid" },
	{ ENOSYS, "its Python lacks a function that the library needs; " START_AGAIN },
	{ ESHUTDOWN, "its Python is shutting down" },
	{ EWOULDBLOCK, "its main thread did not hold the GIL; try again" },
	{ EXDEV, "its main thread was in a sub-interpreter; try again" },
	{ ENODEV, "the library found no Python in it; " START_AGAIN },
	{ ENOENT, "is not attached, or was started with the library; see: gcpreload ps --all" },
	{ EBUSY, "the library was at work there; try again" },
};

static char *attach_refused(struct attaching *a, const char *answer)
{
	int pid = (int)a->wish->pid, error;
	size_t i;

	if (text_begins(answer, SCRIPT_ERROR))
		return format_text("%d: %s could not be loaded: %s; is it there, readable and for "
				   "this machine?",
				   pid, a->target.library, answer + strlen(SCRIPT_ERROR));
	if (text_begins(answer, SCRIPT_INTERRUPTED)) {
		a->again = a->interrupted = true;
		return format_text("%d: a signal's handler interrupted it; try again", pid);
	}
	error = -atoi(answer + strlen(SCRIPT_RESULT));
	if (a->interrupted && (error == EALREADY || error == ENOENT))
		error = 0; /* that one did it */
	a->again = error == EXDEV || error == EWOULDBLOCK || error == EBUSY;
	for (i = 0; i < sizeof attach_refusals / sizeof *attach_refusals; i++)
		if (attach_refusals[i].error == error && (error != ENOENT || !a->wish->settings))
			return format_text("%d: %s", pid, attach_refusals[i].why);
	if (!error)
		return NULL;
	return format_text("%d: there can be no measurements: %s; look at --dir, which must be on "
			   "tmpfs, and have room",
			   pid, strerror(error));
}

static char *attach_wait(struct attaching *a)
{
	char answer[SCRIPT_ANSWER], *why, *end;
	bool said = a->wish->quiet;
	uint64_t begun = gcpreload_now_ns();
	int ret;

	for (;; attach_nap()) {
		ret = target_memory_read(a->wish->pid, a->memory + MEMORY - SCRIPT_ANSWER, answer,
					 sizeof answer);
		if (ret < 0)
			return format_text("%d: has ended", (int)a->wish->pid);
		end = memchr(answer, '\n', sizeof answer);
		if (end)
			break;
		if (gcpreload_now_ns() > a->deadline)
			return attach_withdraw(a);
		if (!said && gcpreload_elapsed(begun, gcpreload_now_ns()) > PATIENCE) {
			text_complain("%d: waits for its main thread to run Python again (%u s at "
				      "most)",
				      (int)a->wish->pid, a->wish->timeout);
			said = true;
		}
	}
	*end = '\0';
	why = attach_refused(a, answer);
	if (!a->again)
		attach_give_back(a);
	return why;
}

/* The library has answered; its file comes with it. */
static void attach_wait_for_ring(const struct attaching *a)
{
	uint64_t limit = gcpreload_now_ns() + RING_SECONDS;
	struct procfs p;

	while (procfs_read(&p, a->wish->pid) == 0 && !*p.ring && gcpreload_now_ns() < limit)
		attach_nap();
}

/* Where its main thread is in a sub-interpreter, it will be in the main one soon. */
static char *attach_try(struct attaching *a)
{
	char *why;

	for (;;) {
		why = attach_put_text(a);
		if (!why)
			why = attach_add_call(a);
		if (!why)
			why = attach_wait(a);
		if (!why || !a->again || gcpreload_now_ns() > a->deadline)
			return why;
		free(why);
		a->again = false;
		attach_nap();
	}
}

void attach_do(const struct attach_wish *wish, struct attach_outcome *outcome)
{
	struct attaching a = { .wish = wish, .begun = gcpreload_now_ns() };

	memset(outcome, 0, sizeof *outcome);
	a.deadline = a.begun + wish->timeout * SECOND;
	outcome->why = attach_target_read(&a.target, wish->pid, wish->library, !wish->settings);
	if (!outcome->why)
		outcome->why = attach_get_memory(&a);
	if (!outcome->why)
		outcome->why = attach_try(&a);
	if (!outcome->why && wish->settings)
		attach_wait_for_ring(&a);
	snprintf(outcome->library, sizeof outcome->library, "%s", a.target.library);
	outcome->python_minor = a.target.minor;
	outcome->seconds = (double)gcpreload_elapsed(a.begun, gcpreload_now_ns()) / 1e9;
	attach_target_free(&a.target);
}

void attach_outcome_free(struct attach_outcome *outcome)
{
	free(outcome->why);
	outcome->why = NULL;
}

/* SPDX-License-Identifier: MIT */
#include "engine/marker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/shared.h"
#include "engine/marker_child.h"

#define STACK_SIZE (1u << 20)
/* An object of the collector has 48 bytes at the least, and a word of the result for its address.
 */
#define BYTES_A_WORD 6
#define ASK_EVERY_NS 10000000ull
#define LONGEST_NS   120000000000ull
#define CPU_SECONDS  60
#define AT_EXIT_NS   50000000ull

static struct {
	struct marker_task task;
	uint8_t
	    *space; /* shared with the child: struct marker_shared, and the words of the result */
	size_t size;
	uint8_t *stack;
	int32_t pid; /* shared: 0: none, or reaped */
	const char *why;
	uint64_t began_ns, asked_ns;
} marker;

static void release_space(void)
{
	if (marker.space)
		munmap(marker.space, marker.size);
	if (marker.stack)
		munmap(marker.stack, STACK_SIZE);
	marker.space = marker.stack = NULL;
	marker.task.shared = NULL;
}

static int make_space(uint64_t resident)
{
	size_t words = (size_t)(resident / BYTES_A_WORD / sizeof(uintptr_t)) + 1024;
	struct marker_shared *shared;

	marker.size = sizeof *shared + words * sizeof(uintptr_t);
	marker.space = mmap(NULL, marker.size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (marker.space == MAP_FAILED) {
		marker.space = NULL;
		return -ENOMEM;
	}
	marker.stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (marker.stack == MAP_FAILED) {
		marker.stack = NULL;
		release_space();
		return -ENOMEM;
	}
	shared = marker.task.shared = (struct marker_shared *)marker.space;
	shared->garbage.words = (uintptr_t *)(shared + 1);
	shared->garbage.capacity = words;
	return 0;
}

/* Should memory end, the kernel is to take it, and not the program. Only the program can say so:
 * the child opens nothing. */
static void offer_to_oom_killer(int32_t pid)
{
	ssize_t ignored; /* it is a wish */
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ignored = write(fd, "1000", 4);
	(void)ignored;
	close(fd);
}

/* A handler of the program's would run in the child, and write into its event loop. */
static int32_t clone_without_signals(void)
{
	sigset_t all, before;
	int32_t pid;
	int error;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = clone(marker_child, marker.stack + STACK_SIZE, CLONE_FILES, &marker.task);
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return pid < 0 ? -error : pid;
}

/* waitpid() of the program does not see it, and so ours must say __WCLONE. Returns whether it is
 * gone. */
bool marker_gone(void)
{
	int status;
	long pid;

	if (!marker.pid)
		return true;
	pid = syscall(SYS_wait4, marker.pid, &status, __WCLONE | WNOHANG, NULL);
	if (pid == 0)
		return false;
	store_relaxed(&marker.pid, 0);
	return true;
}

int marker_begin(const struct layout *layout, uint64_t resident)
{
	int ret;

	if (!marker_gone() || marker.space)
		return -EBUSY;
	ret = make_space(resident);
	if (ret < 0)
		return ret;
	marker.task.layout = layout->graph;
	marker.task.permanent = layout->permanent;
	marker.task.after = layout->boundary;
	marker.task.parent = (int32_t)syscall(SYS_getpid);
	marker.task.cpu_seconds = CPU_SECONDS;
	marker.why = NULL;
	marker.began_ns = marker.asked_ns = gcpreload_now_ns();
	ret = clone_without_signals();
	if (ret < 0) {
		release_space();
		return ret;
	}
	store_relaxed(&marker.pid, ret);
	/* What the program forks has no use for it. */
	madvise(marker.space, marker.size, MADV_DONTFORK);
	offer_to_oom_killer(ret);
	return 0;
}

static enum marker_is marker_failed(const char *why)
{
	marker.why = why;
	return MARKER_FAILED;
}

/* Only the word that is written last says that it is done: not that the process has ended. */
enum marker_is marker_look(uint64_t now_ns)
{
	struct marker_shared *shared = marker.task.shared;
	uint32_t done;

	if (!shared)
		return MARKER_NONE;
	done = load_acquire(&shared->done);
	if (done == 1) {
		marker_gone();
		return MARKER_DONE;
	}
	if (done)
		return marker_failed(shared->failed ? shared->failed : "stopped");
	if (gcpreload_elapsed(marker.asked_ns, now_ns) < ASK_EVERY_NS)
		return MARKER_RUNS;
	marker.asked_ns = now_ns;
	if (marker_gone() && !load_acquire(&shared->done))
		return marker_failed("it was killed, or crashed");
	return gcpreload_elapsed(marker.began_ns, now_ns) > LONGEST_NS ? marker_failed("it hangs")
								       : MARKER_RUNS;
}

const struct graph_garbage *marker_result(void)
{
	return &marker.task.shared->garbage;
}

const char *marker_why(void)
{
	return marker.why;
}

uint64_t marker_cpu_ns(void)
{
	return marker.task.shared ? marker.task.shared->cpu_ns : 0;
}

uint64_t marker_took_ns(void)
{
	return gcpreload_elapsed(marker.began_ns, marker.task.shared->ended_ns);
}

void marker_pause(bool yes)
{
	if (marker.task.shared)
		store_relaxed(&marker.task.shared->pause, yes);
}

void marker_stop(void)
{
	struct marker_shared *shared = marker.task.shared;

	if (load_relaxed(&marker.pid) && shared)
		store_relaxed(&shared->stop, 1);
}

/* Killed last: whoever inherits it would wonder. */
static void await_end(void)
{
	struct timespec moment = { 0, 200000 };
	uint64_t from = gcpreload_now_ns();

	while (!marker_gone()) {
		if (gcpreload_elapsed(from, gcpreload_now_ns()) > AT_EXIT_NS)
			syscall(SYS_kill, marker.pid, SIGKILL);
		nanosleep(&moment, NULL);
	}
}

void marker_end(bool at_exit)
{
	marker_stop();
	if (at_exit)
		await_end();
	else if (!marker_gone())
		syscall(SYS_kill, marker.pid, SIGKILL);
	marker_gone();
	release_space();
}

void marker_forget(void)
{
	/* The mapping was not given to this process. */
	marker.space = NULL;
	marker.task.shared = NULL;
	store_relaxed(&marker.pid, 0);
	release_space();
}

/* SPDX-License-Identifier: MIT */
#include "engine/marker_child.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/shared.h"

/* Below the program's own work, and still quick enough to be of use where it saturates a core. */
#define NICE 5

/* It has no signal handler, no core file, no other limit than what the parent sets. A core of 1
 * byte is none, also where a program takes them (core(5)); 0 would be one there. */
static bool limit_itself(const struct marker_task *task)
{
	struct rlimit core = { 1, 1 }, cpu = { task->cpu_seconds, task->cpu_seconds }, space;

	if (getrlimit(RLIMIT_AS, &space) == 0) {
		space.rlim_cur = space.rlim_max;
		setrlimit(RLIMIT_AS, &space);
	}
	if (getrlimit(RLIMIT_CORE, &space) == 0 && space.rlim_max < 1)
		core.rlim_cur = core.rlim_max = space.rlim_max;
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE);
	return setrlimit(RLIMIT_CORE, &core) == 0 && setrlimit(RLIMIT_CPU, &cpu) == 0;
}

/* Whose system calls have these numbers. */
#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

#define ALLOW(call)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1),                                         \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* tp_traverse of an extension module is anybody's code: that it has no side effects is a rule, and
 * not all keep it. */
static bool confine_itself(void)
{
#ifdef OWN_ARCH
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(SYS_mmap),
		ALLOW(SYS_munmap),
		ALLOW(SYS_madvise),
		ALLOW(SYS_getppid),
		ALLOW(SYS_clock_gettime), /* where it is no call of the vDSO */
		ALLOW(SYS_nanosleep),
		ALLOW(SYS_restart_syscall), /* how the kernel goes on with it after SIGCONT */
		ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
	};
	struct sock_fprog program = { sizeof filter / sizeof *filter, filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
	errno = ENOSYS;
	return false;
#endif
}

/* A parent that has ended left it to somebody who knows nothing of it. */
static bool marker_stopped(void *arg)
{
	const struct timespec moment = { 0, 5000000 };
	const struct marker_task *task = arg;

	for (;;) {
		if (load_relaxed(&task->shared->stop) || syscall(SYS_getppid) != task->parent)
			return true;
		if (!load_relaxed(&task->shared->pause))
			return false;
		syscall(SYS_nanosleep, &moment, NULL);
	}
}

static int compute_garbage(struct marker_task *task)
{
	struct marker_shared *shared = task->shared;
	int ret;

	shared->failed = "setrlimit";
	if (!limit_itself(task))
		return -errno;
	shared->failed = "seccomp";
	if (!confine_itself())
		return -errno;
	shared->failed = "memory for its tables";
	ret = graph_find_garbage(&task->layout, task->permanent, task->after, &shared->garbage,
				 marker_stopped, task);
	if (ret != -ENOMEM)
		shared->failed = NULL;
	return ret;
}

static uint64_t child_clock_ns(clockid_t id)
{
	struct timespec ts;

	if (syscall(SYS_clock_gettime, id, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int marker_child(void *arg)
{
	struct marker_task *task = arg;
	int error = compute_garbage(task);

	task->shared->error = -error;
	task->shared->cpu_ns = child_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	task->shared->ended_ns = child_clock_ns(CLOCK_MONOTONIC);
	store_release(&task->shared->done, error ? 2 : 1);
	for (;;)
		syscall(SYS_exit_group, 0);
}

/* SPDX-License-Identifier: MIT */
#include "cli/attach/remote_stop.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "cli/attach/step.h"

#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif
#define SYSTEM_CALL_STOP (SIGTRAP | 0x80)

static long remote_ask(int request, pid_t pid, uintptr_t address, uintptr_t data)
{
	return ptrace(request, pid, (void *)address, (void *)data) < 0 ? -errno : 0;
}

/* The next stop. Returns 0 with *status, or -errno. */
static int remote_wait(pid_t pid, int *status, uint64_t deadline)
{
	struct timespec nap = { .tv_nsec = 20000 };
	pid_t got;

	for (;;) {
		got = waitpid(pid, status, __WALL | WNOHANG);
		if (got < 0)
			return -errno;
		if (got > 0)
			return WIFSTOPPED(*status) ? 0 : -ESRCH;
		if (gcpreload_now_ns() > deadline)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < 1000000)
			nap.tv_nsec += nap.tv_nsec / 4;
	}
}

/* To the stop that was asked for, past all others; its own signals it gets. */
static int remote_wait_for_stop(pid_t pid, uint64_t deadline)
{
	int status, ret, sent;

	for (;;) {
		ret = remote_wait(pid, &status, deadline);
		if (ret < 0)
			return ret;
		if (status >> 16 == PTRACE_EVENT_STOP)
			return WSTOPSIG(status) == SIGTRAP ? 0 : -EBUSY;
		sent = status >> 16 || WSTOPSIG(status) == SYSTEM_CALL_STOP ? 0 : WSTOPSIG(status);
		ret = (int)remote_ask(PTRACE_CONT, pid, 0, (uintptr_t)sent);
		if (ret < 0)
			return ret;
	}
}

int remote_stop(pid_t pid, uint64_t deadline)
{
	int ret = (int)remote_ask(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD);

	step_made();
	return ret < 0 ? ret : remote_again(pid, deadline);
}

int remote_again(pid_t pid, uint64_t deadline)
{
	int ret = (int)remote_ask(PTRACE_INTERRUPT, pid, 0, 0);

	step_made();
	return ret < 0 ? ret : remote_wait_for_stop(pid, deadline);
}

void remote_go(pid_t pid)
{
	remote_ask(PTRACE_DETACH, pid, 0, 0);
	step_made();
}

int remote_next_system_call(pid_t pid, bool calling, uint64_t deadline)
{
	int status, ret, sent = 0;

	for (;;) {
		ret = (int)remote_ask(PTRACE_SYSCALL, pid, 0, (uintptr_t)sent);
		step_made();
		if (ret == 0)
			ret = remote_wait(pid, &status, deadline);
		if (ret < 0)
			return ret;
		step_made();
		sent = 0;
		if (WSTOPSIG(status) == SYSTEM_CALL_STOP)
			return 0;
		if (status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP)
			return -EBUSY;
		if (status >> 16 == 0 && calling && WSTOPSIG(status) != SIGSTOP)
			return -EFAULT;
		if (status >> 16 == 0)
			sent = WSTOPSIG(status); /* SIGSTOP cannot be held back */
	}
}

static int remote_set(pid_t pid, int request, int kind, const void *bytes, size_t *size)
{
	struct iovec vec = { (void *)(uintptr_t)bytes, *size };
	int ret = (int)remote_ask(request, pid, (uintptr_t)kind, (uintptr_t)&vec);

	*size = vec.iov_len;
	return ret;
}

int remote_registers(pid_t pid, struct user_regs_struct *registers)
{
	size_t size = sizeof *registers;
	int ret = remote_set(pid, PTRACE_GETREGSET, NT_PRSTATUS, registers, &size);

	return ret == 0 && size != sizeof *registers ? -ENOTSUP : ret; /* a 32-bit process */
}

int remote_set_registers(pid_t pid, const struct user_regs_struct *registers)
{
	size_t size = sizeof *registers;
	int ret = remote_set(pid, PTRACE_SETREGSET, NT_PRSTATUS, registers, &size);

	step_made();
	return ret;
}

int remote_set_mask(pid_t pid, uint64_t mask)
{
	int ret = (int)remote_ask(PTRACE_SETSIGMASK, pid, sizeof mask, (uintptr_t)&mask);

	step_made();
	return ret;
}

int remote_state(pid_t pid, struct signal_frame_state *state)
{
	int ret = remote_registers(pid, &state->registers);

	if (ret == 0)
		ret = (int)remote_ask(PTRACE_GETSIGMASK, pid, sizeof state->mask,
				      (uintptr_t)&state->mask);
	state->xsave_size = sizeof state->xsave;
	if (ret == 0)
		ret = remote_set(pid, PTRACE_GETREGSET, NT_X86_XSTATE, state->xsave,
				 &state->xsave_size);
	return ret;
}

int remote_set_state(pid_t pid, const struct signal_frame_state *state)
{
	size_t size = state->xsave_size;
	int ret = remote_set_mask(pid, state->mask);

	if (ret == 0)
		ret = remote_set(pid, PTRACE_SETREGSET, NT_X86_XSTATE, state->xsave, &size);
	step_made();
	if (ret == 0)
		ret = remote_set_registers(pid, &state->registers);
	return ret;
}

/* SPDX-License-Identifier: MIT */
#include "cli/attach/remote_call.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/clock.h"
#include "cli/attach/remote_stop.h"
#include "cli/attach/signal_frame.h"
#include "cli/attach/step.h"

#ifdef __x86_64__

/* What the kernel has in rax of a system call that it would restart (include/linux/errno.h). */
#define RESTART_SYS    512
#define RESTART_NOINTR 513
#define RESTART_NOHAND 514
#define RESTART_BLOCK  516

#define CODE_64	       0x33
#define FLAG_TRAP      0x100
#define FLAG_BACKWARDS 0x400
#define SYSCALL_BYTES  2
#define STACK_NEED     (32 << 10)
#define OFTEN	       1000		 /* tries a millisecond apart; then ten */
#define NEXT_NS	       UINT64_C(3000000) /* for the next system call */
#define CALL_LIMIT_NS  UINT64_C(5000000000)

/* One call, with the thread stopped. */
struct call_state {
	const struct attach_target *target;
	struct remote_call *call;
	uint64_t stack_low, stack_high;
	struct signal_frame_state was;
	unsigned char frame[SIGNAL_FRAME_XSAVE + 1024];
	uint64_t frame_at;
};

/* Waits without a time limit that the kernel ends with EINTR for a mere stop. */
static bool call_waits_forever(int64_t number, const struct user_regs_struct *r)
{
	switch (number) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return (int)r->r10 == -1;
	case SYS_semop:
		return true;
	default:
		return false;
	}
}

/* How a system call that was interrupted goes on. alone: what the frame must hold, from which the
 * kernel starts none again. Else it is what the kernel shall do when it comes to a system call.
 */
static void call_resume(struct user_regs_struct *r, bool alone)
{
	int64_t result = (int64_t)r->rax, number = (int64_t)r->orig_rax;

	r->orig_rax = (uint64_t)-1;
	if (number < 0)
		return;
	switch (-result) {
	case EINTR:
		if (!call_waits_forever(number, r))
			return;
		break;
	case RESTART_BLOCK:
		/* The kernel knows how long it has waited, unless a frame was taken back. */
		if (!alone)
			number = SYS_restart_syscall;
		break;
	case RESTART_SYS:
	case RESTART_NOINTR:
	case RESTART_NOHAND:
		break;
	default:
		return;
	}
	if (alone) {
		r->rax = (uint64_t)number;
		r->rip -= SYSCALL_BYTES;
	} else {
		r->orig_rax = (uint64_t)number;
	}
}

/* Its own stack, before it is stopped: that takes a while. */
static int call_find_stack(struct call_state *c)
{
	struct target_maps maps;
	const struct target_map *stack;
	int ret = target_maps_read(&maps, c->target->pid);

	if (ret < 0)
		return ret;
	stack = target_maps_of(&maps, "[stack]");
	c->stack_low = stack ? stack->start + STACK_NEED : 0;
	c->stack_high = stack ? stack->end : 0;
	target_maps_free(&maps);
	return 0;
}

/* A place where it holds no lock of the interpreter's: a system call, or the loop itself; on its
 * own stack, with room below. */
static bool call_is_safe(const struct call_state *c)
{
	const struct user_regs_struct *r = &c->was.registers;
	const struct attach_target *t = c->target;

	return r->cs == CODE_64 && r->rsp > c->stack_low && r->rsp < c->stack_high &&
	       ((int64_t)r->orig_rax >= 0 ||
		(r->rip >= t->eval && r->rip - t->eval < t->eval_size));
}

static void call_registers(const struct call_state *c, struct user_regs_struct *r)
{
	const struct remote_call *call = c->call;

	r->rip = call->function ? call->function : c->target->system_call;
	r->rax = call->number;
	r->rdi = call->arguments[0];
	r->rsi = call->arguments[1];
	r->rdx = call->arguments[2];
	r->rcx = r->r10 = call->arguments[3];
	r->r8 = call->arguments[4];
	r->r9 = call->arguments[5];
	r->rsp = c->frame_at;
	r->eflags &= ~(uint64_t)(FLAG_TRAP | FLAG_BACKWARDS);
	r->orig_rax = (uint64_t)-1;
}

/* Until it is about to return into what it was at. */
static int call_follow(struct call_state *c)
{
	uint64_t limit = gcpreload_now_ns() + CALL_LIMIT_NS;
	struct user_regs_struct r;
	int ret;

	for (;;) {
		ret = remote_next_system_call(c->target->pid, true, limit);
		if (ret == 0)
			ret = remote_registers(c->target->pid, &r);
		if (ret < 0)
			return ret;
		if (r.orig_rax == SYS_rt_sigreturn && r.rsp == c->frame_at + sizeof r.rsp)
			return 0;
		if (!c->call->function && r.orig_rax == c->call->number &&
		    (int64_t)r.rax != -ENOSYS)
			c->call->result = (int64_t)r.rax;
	}
}

/* As it was, and the kernel decides what becomes of an interrupted call. */
static void call_take_back(struct call_state *c, int why)
{
	pid_t pid = c->target->pid;

	if (why == -EFAULT || remote_again(pid, gcpreload_now_ns() + CALL_LIMIT_NS) == 0)
		remote_set_state(pid, &c->was);
}

static int call_begin(struct call_state *c)
{
	struct signal_frame_state alone = c->was;
	struct user_regs_struct r = c->was.registers;
	pid_t pid = c->target->pid;
	size_t size;
	int ret;

	call_resume(&alone.registers, true);
	size = signal_frame_build(&alone, c->target->restorer, c->frame, sizeof c->frame,
				  &c->frame_at);
	if (!size)
		return -ENOTSUP;
	ret = target_memory_write(pid, c->frame_at, c->frame, size);
	step_made();
	if (ret < 0)
		return ret == -EFAULT ? -EAGAIN : ret;
	call_registers(c, &r);
	ret = remote_set_registers(pid, &r);
	/* A signal now would find no call to interrupt. The frame has the mask to go back to. */
	return ret < 0 ? ret : remote_set_mask(pid, UINT64_MAX);
}

/* Where it is in C code, its next system call is a place, too: before the kernel has begun with
 * it. */
static int call_go_to_place(struct call_state *c)
{
	struct user_regs_struct *r = &c->was.registers;
	pid_t pid = c->target->pid;
	int ret = remote_state(pid, &c->was);

	if (ret < 0 || call_is_safe(c))
		return ret;
	ret = remote_next_system_call(pid, false, gcpreload_now_ns() + NEXT_NS);
	if (ret == -ETIMEDOUT)
		ret = remote_again(pid, gcpreload_now_ns() + CALL_LIMIT_NS);
	if (ret == 0)
		ret = remote_state(pid, &c->was);
	if (ret < 0)
		return ret;
	if ((int64_t)r->orig_rax >= 0 && (int64_t)r->rax == -ENOSYS)
		r->rax = (uint64_t)-RESTART_NOINTR;
	return call_is_safe(c) ? 0 : -EAGAIN;
}

static int call_stopped(struct call_state *c)
{
	pid_t pid = c->target->pid;
	int ret = call_go_to_place(c);

	if (ret == 0)
		ret = call_begin(c);
	if (ret < 0)
		return ret;
	ret = call_follow(c);
	if (ret == -EFAULT || ret == -ETIMEDOUT) {
		call_take_back(c, ret);
		return ret == -ETIMEDOUT ? -EDEADLK : ret;
	}
	if (ret == 0 && (int64_t)c->was.registers.orig_rax >= 0) {
		call_resume(&c->was.registers, false);
		remote_set_state(pid, &c->was);
	}
	return ret;
}

int remote_call(const struct attach_target *t, struct remote_call *call, uint64_t deadline)
{
	static struct call_state c;
	struct timespec nap = { .tv_nsec = 1000000 };
	int ret, tries;

	for (tries = 0;; tries++) {
		memset(&c, 0, sizeof c);
		c.target = t;
		c.call = call;
		ret = call_find_stack(&c);
		if (ret < 0)
			return ret;
		ret = remote_stop(t->pid, deadline);
		if (ret == 0)
			ret = call_stopped(&c);
		remote_go(t->pid);
		if (ret != -EAGAIN)
			return ret;
		if (gcpreload_now_ns() > deadline)
			return -ETIMEDOUT;
		nanosleep(&nap, NULL);
		if (tries > OFTEN)
			nap.tv_nsec = 10000000;
	}
}
#else
int remote_call(const struct attach_target *t, struct remote_call *call, uint64_t deadline)
{
	(void)t;
	(void)call;
	(void)deadline;
	return -ENOSYS;
}
#endif

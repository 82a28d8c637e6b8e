/* SPDX-License-Identifier: MIT */
/*
 * The frame that the kernel builds on a thread's stack when a signal handler is called, and takes
 * back in rt_sigreturn: all registers, those of the floating point unit and the signal mask. With
 * one below a function that is called from outside, the function returns into libc's rt_sigreturn,
 * and the kernel puts the thread back to where it was, whoever watches or does not.
 */
#ifndef GCPRELOAD_CLI_ATTACH_SIGNAL_FRAME_H
#define GCPRELOAD_CLI_ATTACH_SIGNAL_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#define SIGNAL_FRAME_XSAVE 16384

/* What a thread was at. */
struct signal_frame_state {
	struct user_regs_struct registers;
	uint64_t mask;
	unsigned char xsave[SIGNAL_FRAME_XSAVE] __attribute__((aligned(64))); /* NT_X86_XSTATE */
	size_t xsave_size;
};

/* Builds it in bytes, for a thread whose stack is used down to state->registers.rsp. Returns its
 * size, with *address set to where it goes: what is called begins with its stack pointer there. 0:
 * this state cannot be kept. */
size_t signal_frame_build(const struct signal_frame_state *state, uint64_t restorer,
			  unsigned char *bytes, size_t room, uint64_t *address);

#endif

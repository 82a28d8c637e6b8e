/* SPDX-License-Identifier: MIT */
/* Stopping a thread for a moment (ptrace(2)). It is seized and never killed with us: where we end,
 * the kernel lets it run on. */
#ifndef GCPRELOAD_CLI_ATTACH_REMOTE_STOP_H
#define GCPRELOAD_CLI_ATTACH_REMOTE_STOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/attach/signal_frame.h"

/* Each returns 0 or -errno; -EBUSY: it is stopped by a signal. */
int remote_stop(pid_t pid, uint64_t deadline);
void remote_go(pid_t pid); /* and leave it */

/* Stops one that is seized already and runs. */
int remote_again(pid_t pid, uint64_t deadline);

/* Runs on to the next begin or end of a system call. calling: in a call of ours, with signals held
 * back by the thread's mask; -EFAULT: what it did there raised one. -ETIMEDOUT: it runs. */
int remote_next_system_call(pid_t pid, bool calling, uint64_t deadline);

int remote_state(pid_t pid, struct signal_frame_state *state);
int remote_registers(pid_t pid, struct user_regs_struct *registers);
int remote_set_registers(pid_t pid, const struct user_regs_struct *registers);
int remote_set_mask(pid_t pid, uint64_t mask);
int remote_set_state(pid_t pid, const struct signal_frame_state *state);

#endif

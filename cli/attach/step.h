/* SPDX-License-Identifier: MIT */
/* For the tests: ends this command by SIGKILL behind its step number N, wherever that is. */
#ifndef GCPRELOAD_CLI_ATTACH_STEP_H
#define GCPRELOAD_CLI_ATTACH_STEP_H

/* Which step is the last; 0: none. */
void step_end_behind(long n);

/* A step has been made. */
void step_made(void);

#endif

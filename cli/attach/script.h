/* SPDX-License-Identifier: MIT */
/* What runs in the process: a short Python text. */
#ifndef GCPRELOAD_CLI_ATTACH_SCRIPT_H
#define GCPRELOAD_CLI_ATTACH_SCRIPT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How its answer begins, in a line at the place that it was told. */
#define SCRIPT_RESULT	   "result "
#define SCRIPT_ERROR	   "error "
#define SCRIPT_INTERRUPTED "interrupted" /* by a signal's handler: nobody knows how far it came */
#define SCRIPT_ANSWER	   512		 /* the most that it writes */

/* settings: NULL to detach. answer: an address in the process. To be freed. */
char *script_text(pid_t inner_pid, const char *library, const char *settings, uint64_t answer);

#endif

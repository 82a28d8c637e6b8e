/* SPDX-License-Identifier: MIT */
/* From a command line to the program that runs in the end: PATH, #!, env, wrappers. */
#ifndef GCPRELOAD_CLI_DOCTOR_CHAIN_H
#define GCPRELOAD_CLI_DOCTOR_CHAIN_H

#include "cli/doctor/elf_file.h"
#include "cli/doctor/findings.h"
#include "cli/doctor/words.h"

struct chain {
	char program[4096]; /* "" where it was not found */
	struct elf_file elf;
	char python[4096];  /* program, if it is an interpreter that may be probed; else "" */
	struct words words; /* its command line */
};

/* Follows the command, starting nothing; what stands in the way is added to findings. chain is all
 * zeros, or as chain_free leaves it. */
void chain_follow(struct chain *chain, char *const *argv, struct findings *findings);

void chain_free(struct chain *chain);

#endif

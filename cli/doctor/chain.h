/* SPDX-License-Identifier: MIT */
/* From a command line to the program that runs in the end: PATH, #!, env, wrappers. */
#ifndef GCPRELOAD_CLI_DOCTOR_CHAIN_H
#define GCPRELOAD_CLI_DOCTOR_CHAIN_H

#include "cli/doctor/elf_file.h"
#include "cli/doctor/findings.h"

struct chain {
	char program[4096]; /* "" where it was not found */
	struct elf_file elf;
	char python[4096]; /* program, if it is an interpreter that may be probed; else "" */
};

/* Follows the command, starting nothing; what stands in the way is added to findings. */
void chain_follow(struct chain *chain, char *const *argv, struct findings *findings);

#endif

/* SPDX-License-Identifier: MIT */
/* pyenv's shims: shell scripts, each standing for a program of the version chosen now. */
#ifndef GCPRELOAD_CLI_DOCTOR_PYENV_H
#define GCPRELOAD_CLI_DOCTOR_PYENV_H

#include <stddef.h>

/* The program that a shim would run. Returns 0, or -1 for what is no shim, or leads nowhere. */
int pyenv_resolve(const char *shim, char *out, size_t size);

#endif

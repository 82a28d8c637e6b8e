/* SPDX-License-Identifier: MIT */
/* Finds files: programs along PATH, what lies beside this command, the library. */
#ifndef GCPRELOAD_CLI_LOCATE_H
#define GCPRELOAD_CLI_LOCATE_H

#include <stddef.h>

/* Where `make install` puts the library; the Makefile knows. */
#ifndef GCPRELOAD_LIBDIR
#define GCPRELOAD_LIBDIR "/usr/local/lib"
#endif

#define LOCATE_LIBRARY "libgcpreload.so"

/* The path of name in the directory of this command's own executable. Returns 0, or -1 where
 * there is no such file. */
int locate_beside(char *out, size_t size, const char *name);

/* The library: beside this command, where pip puts it, in ../lib, or where `make install` does.
 * Returns 0, or -1 with *why set to a text of what is wrong and what to do, to be freed. */
int locate_library(char *out, size_t size, char **why);

/* A program as execvp(3) would find it with this PATH (NULL: the system's default one). Returns
 * 0, or -ENOENT, -EACCES (there, but not executable). */
int locate_program(char *out, size_t size, const char *name, const char *path);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * dlsym(RTLD_NEXT, ...) where there is no dlsym. Before glibc 2.34 it is in libdl, which we do not
 * name as needed, because loading it costs every program 6 % of /bin/true (measured). A program
 * that does not need libdl either has no dlsym, and a few functions to be found all the same.
 */
#ifndef GCPRELOAD_PRELOAD_NEXT_H
#define GCPRELOAD_PRELOAD_NEXT_H

/* The function of that name in the first object behind ours in the order of loading, of its
 * default version (or without one), or NULL. No allocation; takes the loader's lock for as long as
 * it walks through the objects (dl_iterate_phdr(3)). */
void *next_function(const char *name);

/* The same, libc's own, whoever stands in front of it. */
void *next_in_libc(const char *name);

#endif

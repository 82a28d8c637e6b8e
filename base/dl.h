/* SPDX-License-Identifier: MIT */
/*
 * The dl functions moved from libdl to libc in glibc 2.34, under a new version. Bound to the old
 * version, one binary serves both: include this in every file that calls one of them. Built with
 * an older glibc, whose libc has no such version, they have none, which serves both as well.
 *
 * They are weak, and libdl is not named as needed: before 2.34 they are there in a program that
 * needs libdl itself, as every Python does and everything that could load one. Elsewhere they are
 * NULL: ask dl_is_here() first where that may be.
 */
#ifndef GCPRELOAD_BASE_DL_H
#define GCPRELOAD_BASE_DL_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

#if __GLIBC_PREREQ(2, 34)
#if defined(__x86_64__)
#define GCPRELOAD_OLD_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define GCPRELOAD_OLD_GLIBC "GLIBC_2.17"
#endif
#endif

#ifdef GCPRELOAD_OLD_GLIBC
__asm__(".symver dlsym,dlsym@" GCPRELOAD_OLD_GLIBC);
__asm__(".symver dlerror,dlerror@" GCPRELOAD_OLD_GLIBC);
__asm__(".symver dlopen,dlopen@" GCPRELOAD_OLD_GLIBC);
__asm__(".symver dladdr,dladdr@" GCPRELOAD_OLD_GLIBC);
#endif

#pragma weak dlsym
#pragma weak dlerror
#pragma weak dlopen
#pragma weak dladdr

static inline bool dl_is_here(void)
{
	return dlsym && dlerror && dlopen && dladdr;
}

#endif

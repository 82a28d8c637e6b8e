/* SPDX-License-Identifier: MIT */
/*
 * The dl functions moved from libdl to libc in glibc 2.34, under a new version. Bound to the old
 * version, one binary serves both: include this in every file that calls one of them.
 */
#ifndef GCPRELOAD_INJECT_DL_H
#define GCPRELOAD_INJECT_DL_H

#include <dlfcn.h>

#if defined(__x86_64__)
#define GCPRELOAD_OLD_GLIBC "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define GCPRELOAD_OLD_GLIBC "GLIBC_2.17"
#endif

#ifdef GCPRELOAD_OLD_GLIBC
__asm__(".symver dlsym,dlsym@" GCPRELOAD_OLD_GLIBC);
__asm__(".symver dlerror,dlerror@" GCPRELOAD_OLD_GLIBC);
__asm__(".symver dlopen,dlopen@" GCPRELOAD_OLD_GLIBC);
__asm__(".symver dladdr,dladdr@" GCPRELOAD_OLD_GLIBC);
#endif

#endif

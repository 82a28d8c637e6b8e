/* SPDX-License-Identifier: MIT */
/*
 * What a process is, by its command line. The workers of multiprocessing (uvicorn's, for example)
 * are all "python -c from multiprocessing.spawn import spawn_main ...": what they are is what their
 * parent is.
 */
#ifndef GCPRELOAD_PRELOAD_ORIGIN_H
#define GCPRELOAD_PRELOAD_ORIGIN_H

/* Takes the arguments, before the program may write a title over them. */
void origin_note(int argc, char *const *argv);

/* The arguments of this process, separated by spaces. */
const char *origin_own(void);

/* Those of the nearest ancestor with a name, where this process has none; else "". An ancestor
 * counts only if it is this user's and under the library. */
const char *origin_named(void);

#endif

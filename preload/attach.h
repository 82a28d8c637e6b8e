/* SPDX-License-Identifier: MIT */
/*
 * Into a CPython that runs already: the library was loaded by dlopen(), and whoever did that calls
 * these, on the main thread, with the GIL. No call of libc's comes by us in such a process: its
 * waits and forks are not seen, and all is done from gc.callbacks.
 */
#ifndef GCPRELOAD_PRELOAD_ATTACH_H
#define GCPRELOAD_PRELOAD_ATTACH_H

/* Begins to measure, and to tune where the settings say so. settings: NAME=VALUE lines, over the
 * process's own environment. Returns 0, or with nothing changed a -errno:
 * -EALREADY: it is attached, or was started under the library
 * -EINVAL, -E2BIG: settings is not such lines, or too long
 * -ECANCELED: the settings say to leave it alone
 * -ENOTSUP, -ENOSYS, -ESHUTDOWN, -EWOULDBLOCK, -EXDEV: see gcpreload_inject_may_attach
 * -ENODEV: there is no interpreter
 * any other: there can be no ring (no room, a directory that is not on tmpfs). */
int gcpreload_attach(const char *settings);

/* Leaves the process as it was: thresholds, frozen objects, callbacks; the ring has ended. The
 * library stays loaded, and may be attached again. Returns 0, or
 * -ENOENT: not attached, or started under the library
 * -EBUSY: within what the library does (a finalizer): try again
 * -ESHUTDOWN, -EWOULDBLOCK, -EXDEV: as above. */
int gcpreload_detach(void);

/* Both by way of an import, see attach_import.c. */
struct gcpreload_object *PyInit_gcpreload_attach(void);

#endif

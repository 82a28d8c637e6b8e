/* SPDX-License-Identifier: MIT */
/*
 * What ld.so runs in every process that is started under the library: programs of all kinds,
 * most of them not Python. One look, and out.
 */
#include <errno.h>
#include <gnu/libc-version.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "base/dl.h"
#include "base/self.h"
#include "inject/inject.h"
#include "preload/configure.h"
#include "preload/copies.h"
#include "preload/entry.h"
#include "preload/origin.h"
#include "preload/real.h"
#include "preload/settings.h"

/* Under musl we pass everything through: what is written here was measured with glibc. */
#pragma weak gnu_get_libc_version

extern const char PyImport_Inittab __attribute__((weak));
extern int Py_IsInitialized(void) __attribute__((weak));

static void start_in_python(void)
{
	if (gcpreload_inject_install() == GCPRELOAD_PYTHON_FOUND) {
		configure_python_found();
		entry_start();
	} else {
		gcpreload_self_drop();
		configure_off();
	}
}

/* The glibc passes them, as to main(). */
__attribute__((constructor)) static void start_process(int argc, char **argv)
{
	bool is_glibc = gnu_get_libc_version, disabled = settings_disabled(environ);
	int saved_errno = errno;

	if (!is_glibc || disabled || !copies_first())
		configure_off();
	real_resolve();
	if (&PyImport_Inittab && dl_is_here()) {
		if (is_glibc)
			origin_note(argc, argv);
		/* dlopen(): it has begun without us. */
		if (is_glibc && Py_IsInitialized && Py_IsInitialized())
			configure_loaded_late();
		else if (configure_now())
			start_in_python();
		else if (is_glibc && disabled)
			configure_disabled();
	}
	errno = saved_errno;
}

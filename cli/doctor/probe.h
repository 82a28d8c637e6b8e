/* SPDX-License-Identifier: MIT */
/* Starts an interpreter, never the application, with two lines that say what they see. */
#ifndef GCPRELOAD_CLI_DOCTOR_PROBE_H
#define GCPRELOAD_CLI_DOCTOR_PROBE_H

#include "cli/doctor/findings.h"
#include "rules/pyversion.h"

struct probe {
	char name[32]; /* "cpython", "pypy"; "" where nothing was learnt */
	char text[32]; /* its version */
	struct pyversion version;
	bool loaded;   /* the library is in the process */
	bool attached; /* and sits on gc.callbacks */
};

/* Runs python in this process's environment without the settings, ten seconds at most. */
void probe_python(struct probe *probe, const char *python, struct findings *findings);

#endif

/* SPDX-License-Identifier: MIT */
/* Who this process is to GCPRELOAD_SAMPLE (rules/sample.h). */
#ifndef GCPRELOAD_ENGINE_SAMPLE_H
#define GCPRELOAD_ENGINE_SAMPLE_H

#include "rules/sample.h"

/* Decides for this process, once: the same for all processes of a host name (a pod's) and a
 * share, or for each process by chance. Any place, no Python. */
struct sample_choice sample_of_this_process(const struct gcpreload_settings *settings);

#endif

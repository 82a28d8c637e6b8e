/* SPDX-License-Identifier: MIT */
/* GCPRELOAD_SAMPLE: which processes are tuned, and which only observed for comparison. */
#ifndef GCPRELOAD_ENGINE_SAMPLE_H
#define GCPRELOAD_ENGINE_SAMPLE_H

#include "rules/settings.h"

/* Decides for this process, once: the same for all processes of a host name (a pod's) and a
 * share, or for each process by chance. A larger share has all hosts of a smaller one. Any place,
 * no Python. */
enum gcpreload_sample sample_decide(const struct gcpreload_settings *settings);

#endif

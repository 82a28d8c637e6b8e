/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

int (*gcpreload_clock)(clockid_t, struct timespec *) = clock_gettime;

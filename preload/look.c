/* SPDX-License-Identifier: MIT */
#include "preload/look.h"

int look_urgent;
bool look_counts_accepts;
uint64_t look_listeners;
unsigned look_at_home;
__thread struct look_times look_times __attribute__((tls_model("initial-exec")));
__thread uint64_t look_home_ns __attribute__((tls_model("initial-exec")));

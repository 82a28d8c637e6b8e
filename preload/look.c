/* SPDX-License-Identifier: MIT */
#include "preload/look.h"

int look_urgent;
bool look_counts_accepts;
__thread uint64_t look_next_ns __attribute__((tls_model("initial-exec")));

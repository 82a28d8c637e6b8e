/* SPDX-License-Identifier: MIT */
/* A ring of a later minor version: what is new in it is not shown, which is said. */
#ifndef GCPRELOAD_CLI_NEWER_H
#define GCPRELOAD_CLI_NEWER_H

#include "cli/rings.h"

/* On stderr, where header has what is not known here. */
void newer_say(const struct rings_choice *choice, const struct gcpreload_header *header);

#endif

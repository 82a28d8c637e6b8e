/* SPDX-License-Identifier: MIT */
/* The programs beside this command, gcpreload-NAME: what its list of commands says of each. */
#ifndef GCPRELOAD_CLI_PROGRAMS_H
#define GCPRELOAD_CLI_PROGRAMS_H

#define PROGRAM_EXPORT_SUMMARY "serve Prometheus metrics and a live page, push to OpenTelemetry"
#define PROGRAM_TOP_SUMMARY    "show processes and their collections live"

#endif

/* SPDX-License-Identifier: MIT */
/* Two saved reports side by side: report --compare A B. */
#ifndef GCPRELOAD_CLI_COMPARE_H
#define GCPRELOAD_CLI_COMPARE_H

#include <stdbool.h>

/* Prints what the files a and b (of report --json) say of serving, and b in relation to a; what is
 * wrong with them on stderr. Returns an exit status. */
int compare_reports(const char *a, const char *b, bool as_json);

#endif

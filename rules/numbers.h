/* SPDX-License-Identifier: MIT */
/* Numbers as people write them in settings: whole, with decimals, as a share, as a time. Whatever
 * the locale, so not by strtod. Each takes all of a text up to end, or returns false. */
#ifndef GCPRELOAD_RULES_NUMBERS_H
#define GCPRELOAD_RULES_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* "50000": decimal digits. */
bool numbers_whole(const char *text, const char *end, uint64_t low, uint64_t high,
		   uint64_t *number);

/* "0.25" or ".25", in parts of which a whole has `unit`. What is smaller than a part is dropped. */
bool numbers_decimal(const char *text, const char *end, uint64_t unit, uint64_t high,
		     uint64_t *number);

/* "0.1", ".1", "10%" or "1/10", in parts of which a whole has `unit`. */
bool numbers_share(const char *text, const char *end, uint64_t unit, uint64_t high,
		   uint64_t *number);

/* What a bare number of a time means, in ns. */
enum numbers_plain { NUMBERS_MILLISECONDS = 1000000, NUMBERS_SECONDS = 1000000000 };

/* "600" or "0.5"; with units, the largest first: "10m", "1h30m", "1.5s", "10ms", "500us". Minutes,
 * hours and days only where bare numbers are seconds: beside milliseconds, 10m is a slip for 10ms.
 */
bool numbers_time(const char *text, const char *end, enum numbers_plain plain, uint64_t high_ns,
		  uint64_t *ns);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef GCPRELOAD_BASE_UTF8_H
#define GCPRELOAD_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* What utf8_next says of a byte that begins no well-formed character. */
#define UTF8_INVALID UINT32_MAX

/* Decodes the character at s, of n bytes at least one. Returns the bytes it takes; 1 with
 * UTF8_INVALID for a byte that is not UTF-8. */
size_t utf8_next(const char *s, size_t n, uint32_t *character);

#endif

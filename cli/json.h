/* SPDX-License-Identifier: MIT */
/*
 * Writes JSON (RFC 8259) to a stream. The caller keeps the order: in an object a key, then its
 * value. Any bytes may be in a text: what is not UTF-8 becomes U+FFFD.
 */
#ifndef GCPRELOAD_CLI_JSON_H
#define GCPRELOAD_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	bool lines; /* indented, one value a line; else all in one line */
	bool html;  /* it can stand in an HTML element: no <, > and & in texts; set after json_start
		     */
	int depth;
	bool first;
	bool after_key;
};

void json_start(struct json *json, FILE *out, bool lines);

/* Ends the text with a newline. */
void json_finish(struct json *json);

void json_open(struct json *json, char bracket);
void json_close(struct json *json, char bracket);
void json_key(struct json *json, const char *key);

void json_string(struct json *json, const char *text); /* NULL: null */
void json_int(struct json *json, int64_t number);
void json_uint(struct json *json, uint64_t number);
void json_double(struct json *json, double number); /* null where it is no number */
void json_bool(struct json *json, bool value);
void json_null(struct json *json);

/* A key and its value. */
void json_pair_string(struct json *json, const char *key, const char *text);
void json_pair_int(struct json *json, const char *key, int64_t number);
void json_pair_uint(struct json *json, const char *key, uint64_t number);
void json_pair_double(struct json *json, const char *key, double number);
void json_pair_bool(struct json *json, const char *key, bool value);
void json_pair_null(struct json *json, const char *key);

#endif

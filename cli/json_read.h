/* SPDX-License-Identifier: MIT */
/* Reads JSON (RFC 8259), strictly, of any origin: bounded in size and depth. */
#ifndef GCPRELOAD_CLI_JSON_READ_H
#define GCPRELOAD_CLI_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json_value {
	enum json_type type;
	bool boolean;
	double number;
	char *text;		  /* UTF-8 as it stood; a \u0000 ends it */
	char *key;		  /* of a member of an object */
	struct json_value *first; /* of an array or object */
	struct json_value *next;  /* in the same array or object */
};

/* The value of a whole text. Returns NULL with *cause set to a text for people, to be freed. */
struct json_value *json_read(const char *text, size_t size, char **cause);

/* The same of a file of 64 MB at most. */
struct json_value *json_read_file(const char *path, char **cause);

/* A member of an object, or NULL; of NULL and of others NULL. */
const struct json_value *json_member(const struct json_value *object, const char *key);

/* A member that is a number, else 0. */
double json_number(const struct json_value *object, const char *key);

void json_forget(struct json_value *value);

#endif
